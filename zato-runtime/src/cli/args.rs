//! What can be written on the command line.

use std::path::PathBuf;

use super::examples;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use zato_core::Cid;

/// Runs the services that are linked into this program.
///
/// A service is a struct or an async function with `#[service]`. Start with `services`, which lists them, and `invoke NAME`, which
/// runs one and prints its response.
#[derive(Debug, Parser)]
#[command(max_term_width = 100, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,

    #[command(flatten)]
    pub(super) global: Global,
}

impl Arguments {
    /// Reads the command line; ends the program where it is faulty, or asks for help.
    pub(super) fn from_command_line() -> Self {
        let parsed = command(&program()).get_matches();
        Self::from_arg_matches(&parsed).unwrap_or_else(|error| error.exit())
    }
}

/// The program's name, as its user calls it.
fn program() -> String {
    let path = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_stem().map_or_else(|| "program".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn command(program: &str) -> clap::Command {
    // The name and the version live as long as the program does.
    let name: &'static str = String::leak(program.to_owned());
    let command = Arguments::command()
        .name(name)
        .version(concat!("(zato-runtime ", env!("CARGO_PKG_VERSION"), ")"))
        .after_help(examples::of_all(program));
    examples::OF_COMMANDS.iter().fold(command, |command, (name, lines)| {
        let below = |command: clap::Command| command.after_help(examples::of(program, lines));
        match name.split_once(' ') {
            Some((name, deeper)) => {
                command.mut_subcommand(name, |command| command.mut_subcommand(deeper, below))
            }
            None => command.mut_subcommand(name, below),
        }
    })
}

/// Where invocations are held unless told.
const ENGINE: &str = if cfg!(feature = "sqlite") { "sqlite:zato.db" } else { "memory:" };

/// Options that every command takes.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// What is logged on standard error: off, error, warn, info, debug, trace, or per module as in
    /// `warn,my_crate=debug`
    #[arg(long, global = true, value_name = "LEVEL", env = "ZATO_LOG", default_value = "info")]
    pub(super) log: String,

    /// Print data as JSON, one value a line
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Where invocations are held: `sqlite:PATH` keeps them in a file, `memory:` in this process, and nothing after it
    #[arg(long, global = true, value_name = "URL", env = "ZATO_ENGINE", default_value = ENGINE)]
    pub(super) engine: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run what is due, until asked to stop
    ///
    /// Owns the store while it runs. ctrl-C or SIGTERM has it finish what runs, and end; what waits goes on with the next
    /// start. A second one ends it at once.
    Serve,

    /// List the services: name, request and response type, callbacks by convention, attributes, module
    Services,

    /// Look for faults in the services that are linked: double names, missing resources, callbacks that do not
    /// exist
    ///
    /// Exits with 0 if there are none, and with 1 if there are.
    Check,

    /// Run a service and print its response
    ///
    /// Waits for everything that the service started in the background. Exits with 1 if it, or anything that
    /// followed from it, ended in anything but Completed. What else waits in the store is left to `serve`; if
    /// another process owns the store, this waits up to 10 seconds for it to end.
    Invoke(Invoke),

    /// Run a service asynchronously for every line of a file
    ///
    /// An empty line is the empty request. A line that is too large is counted as failed, and the others go on.
    /// Exits with 1 if any invocation ended in anything but Completed. What else waits in the store is left to
    /// `serve`; if another process owns the store, this waits up to 10 seconds for it to end.
    Run(Run),

    /// Explain one invocation: its status and why, what its attempts returned, and the causal tree around it
    ///
    /// Looks beside the process that owns the store, or without one.
    Explain(ExplainArgs),

    /// List invocations, the newest first
    ///
    /// Looks beside the process that owns the store, or without one.
    Invocations {
        /// Those that stand so alone: a group runs while it has members that have not ended
        #[arg(long, value_name = "STATE")]
        state: Option<State>,

        #[command(flatten)]
        page: Page,
    },

    /// Dead letters, which have ended in anything but Completed: list them, run them again, forget them
    #[command(subcommand)]
    Dead(Dead),

    /// Cancel invocations that have not ended
    ///
    /// Needs the store for itself: while another process owns it, this is an error. Whoever is told of their failure runs when
    /// `serve` does.
    Cancel {
        /// The correlation IDs of the invocations
        #[arg(required = true, value_name = "CID")]
        cids: Vec<Cid>,

        /// And all that they have invoked
        #[arg(long)]
        with_tree: bool,
    },
}

/// `dead`
#[derive(Debug, Subcommand)]
pub(super) enum Dead {
    /// List dead letters, the newest first
    ///
    /// Looks beside the process that owns the store, or without one.
    List(Page),

    /// Run dead letters again, each under a new CID, and print how they end
    ///
    /// Needs the store for itself: while another process owns it, this is an error. Exits with 1 if any of them, or
    /// anything that followed from it, ended in anything but Completed.
    Retry(Which),

    /// Forget dead letters
    ///
    /// Needs the store for itself: while another process owns it, this is an error.
    Discard(Which),
}

/// A part of a list.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The correlation ID of the invocation
    pub(super) cid: Cid,

    /// Show the request and the response too
    #[arg(long)]
    pub(super) payload: bool,

    /// Show the whole causal tree, instead of the way from its root and what is below the invocation; `--json` always does
    #[arg(long)]
    pub(super) tree: bool,
}

#[derive(Debug, Args)]
pub(super) struct Page {
    /// Those of this service alone
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,

    /// How many at the most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,

    /// Those that were called before this one: the last of one page makes the next
    #[arg(long, value_name = "CID")]
    pub(super) before: Option<Cid>,
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Their correlation IDs
    #[arg(value_name = "CID", required_unless_present = "all")]
    pub(super) cids: Vec<Cid>,

    /// All that there are
    #[arg(long, conflicts_with = "cids")]
    pub(super) all: bool,

    /// With --all: those of this service alone
    #[arg(long, value_name = "NAME", requires = "all")]
    pub(super) service: Option<String>,
}

/// What can be told apart in a list.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum State {
    /// It waits
    Waiting,
    /// It runs
    Running,
    /// It has ended, however
    Ended,
    /// It has ended in anything but Completed, and was not run again
    Dead,
}

/// `invoke`
#[derive(Debug, Args)]
pub(super) struct Invoke {
    /// The service's name
    pub(super) name: String,

    /// The request: a JSON object or array, any other text, or `-` to read it from standard input, where the last line's end is not part of it; none is the
    /// empty request
    pub(super) payload: Option<String>,

    /// Read the request from a file
    #[arg(long, value_name = "FILE", conflicts_with = "payload")]
    pub(super) file: Option<PathBuf>,

    /// Run it in the background: print its CID at once, then the outcome of everything that follows from it,
    /// as it comes
    #[arg(long = "async")]
    pub(super) asynchronous: bool,

    #[command(flatten)]
    pub(super) callbacks: Callbacks,
}

/// `run`
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The service's name
    pub(super) name: String,

    /// The file whose lines are the requests; `-` is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(super) lines: PathBuf,

    #[command(flatten)]
    pub(super) callbacks: Callbacks,
}

/// Who is told.
#[derive(Debug, Args)]
pub(super) struct Callbacks {
    /// The service that receives the response; may be given several times, and makes `invoke` asynchronous
    #[arg(long, value_name = "NAME")]
    pub(super) callback: Vec<String>,

    /// The service that is told of a failure; likewise
    #[arg(long, value_name = "NAME")]
    pub(super) on_failure: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command("program").debug_assert();
    }
}
