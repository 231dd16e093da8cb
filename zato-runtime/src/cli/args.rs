//! What can be written on the command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

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
    let examples = format!(
        "\
Examples:
  {program} services                             what is linked, and who answers whom
  {program} invoke zato.ping                     run a service and print its response
  {program} invoke zato.helpers.echo '{{\"id\": 7}}'  with a payload: JSON, or any text
  {program} invoke zato.helpers.echo --file order.json --async
                                         in the background: the CID at once, then every outcome
  {program} run zato.helpers.echo --lines orders.jsonl
                                         one asynchronous invocation for every line

Exit codes: 0 if all went well, 1 if not, 2 if the command line is faulty."
    );
    // The name and the version live as long as the program does.
    let name: &'static str = String::leak(program.to_owned());
    Arguments::command()
        .name(name)
        .version(concat!("(zato-runtime ", env!("CARGO_PKG_VERSION"), ")"))
        .after_help(examples)
}

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

    /// Where invocations are held: `memory:` keeps them in this process, and nothing after it
    #[arg(long, global = true, value_name = "URL", env = "ZATO_ENGINE", default_value = "memory:")]
    pub(super) engine: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
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
    /// followed from it, ended in anything but Completed.
    Invoke(Invoke),

    /// Run a service asynchronously for every line of a file
    ///
    /// An empty line is the empty request. A line that is too large is counted as failed, and the others go on.
    /// Exits with 1 if any invocation ended in anything but Completed.
    Run(Run),
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
