//! The grammar of the command line.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgGroup, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use super::cids::CidArgument;
use super::examples;
use super::terminal::say_error;
use crate::base::format::escaped;

/// The exit code of a faulty command line, which is clap's too.
pub(super) const USAGE: u8 = 2;

/// Runs the services that are linked into this program
///
/// A service is a struct or an async function with `#[service]`. `services` lists them, and `invoke NAME` runs one and
/// prints its response.
#[derive(Debug, Parser)]
#[command(max_term_width = 100, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,

    #[command(flatten)]
    pub(super) global: Global,

    /// Whether `--engine` was given. Otherwise `global.engine` is the program's default.
    #[arg(skip)]
    pub(super) has_engine: bool,
}

/// What the program says about itself, for the help.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub(super) version: Option<&'a str>,
    /// The engine's URL that the program has configured.
    pub(super) engine: Option<&'a str>,
}

impl Arguments {
    /// Reads the command line of this process.
    ///
    /// # Errors
    ///
    /// The exit code, once the help, the version, or what is wrong has been printed.
    pub(super) fn read(about: &About<'_>) -> Result<Self, ExitCode> {
        let matches = command(&program(), about).try_get_matches().map_err(|error| print(&error))?;
        let mut arguments = Self::from_arg_matches(&matches).map_err(|error| print(&error))?;
        arguments.has_engine = matches.value_source("engine") == Some(ValueSource::CommandLine);
        Ok(arguments)
    }
}

/// Prints the help, the version, or what is wrong with the command line; returns the exit code.
fn print(error: &clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::InvalidUtf8 {
        say_error(&not_text());
        return ExitCode::from(USAGE);
    }
    let printed = error.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(fault) if !error.use_stderr() && fault.kind() != io::ErrorKind::BrokenPipe => {
            say_error(&format!("cannot write to standard output: {fault}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE)),
    }
}

/// Names the arguments that are not UTF-8.
fn not_text() -> String {
    let arguments = std::env::args_os().skip(1).filter(|argument| argument.to_str().is_none());
    let named: Vec<_> =
        arguments.map(|argument| format!("`{}`", escaped(&argument.to_string_lossy()))).collect();
    format!(
        "the command line is not UTF-8: {}; a request of other bytes is read from a file, with `--file FILE`, or from standard \
         input, with `-`",
        named.join(", ")
    )
}

/// The program's name, as its user calls it.
fn program() -> String {
    let path = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_stem().map_or_else(|| "program".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn command(program: &str, about: &About<'_>) -> clap::Command {
    let runtime = concat!("(zato-runtime ", env!("CARGO_PKG_VERSION"), ")");
    let version = about.version.map_or_else(|| runtime.to_owned(), |version| format!("{version} {runtime}"));
    // The name, the version and the URL live as long as the program does.
    let engine: &'static str = about.engine.map_or(ENGINE, |url| String::leak(url.to_owned()));
    let command = Arguments::command()
        .name(&*String::leak(program.to_owned()))
        .version(&*String::leak(version))
        .mut_arg("engine", |arg| arg.default_value(engine))
        .after_help(examples::of_all(program, engine));
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

/// The engine's URL by default.
const ENGINE: &str = if cfg!(feature = "sqlite") { "sqlite:zato.db" } else { "memory:" };

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Global {
    /// The levels of the log on standard error: off, error, warn, info, debug or trace, or a level for each module as
    /// in `warn,my_crate=debug`; without it `ZATO_LOG` is read, and then `RUST_LOG` [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(super) log: Option<String>,

    /// The format of the log: text, or json for an object a line
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub(super) log_format: LogFormat,

    /// Print data as JSON, one value a line
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Show times in UTC instead of the local time zone; JSON and the log are always in UTC
    #[arg(long, global = true)]
    pub(super) utc: bool,

    /// The store of invocations: `sqlite:PATH` is a file, `memory:` is this process alone and keeps nothing; without it
    /// `ZATO_ENGINE` is read
    #[arg(long, global = true, value_name = "URL", default_value = ENGINE)]
    pub(super) engine: String,
}

/// How the log is written: `text` or `json`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    /// A line of text for each event
    Text,
    /// A JSON object for each event, one a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run what is due, until asked to stop
    ///
    /// Owns the store while it runs; if another process owns it, `serve` waits up to 10 seconds for that to end. Ctrl-C
    /// or SIGTERM stops it: what runs is finished first, and what waits goes on with the next start. A second ctrl-C or
    /// SIGTERM stops it at once.
    Serve,

    /// List the services: name, request and response type, callbacks by convention, attributes, module
    Services,

    /// Check the linked services: two of one name, missing resources, callbacks that do not exist
    ///
    /// Exits with 0 if there are no faults, and with 1 if there are.
    Check,

    /// Run a service and print its response
    ///
    /// Then waits for everything that the service started in the background, unless --no-wait is given. Exits with 1 if
    /// the service, or anything that followed from it, ended in anything but Completed; what failed is listed at the end.
    /// Other work in the store is left to `serve`. If another process owns the store, `invoke` waits up to 10 seconds for that to end.
    Invoke(Invoke),

    /// Run a service asynchronously for every line of a file
    ///
    /// An empty line is an empty request. A line that is too large counts as failed, and the others go on. Exits with 1
    /// if any invocation ended in anything but Completed; the lines that failed are listed at the end. Other work in
    /// the store is left to `serve`. If another process owns the store, `run` waits up to 10 seconds for that to end.
    Run(Run),

    /// Explain one invocation: its status and why, what its attempts returned, and the causal tree around it
    ///
    /// Reads the store whether or not a process owns it.
    Explain(ExplainArgs),

    /// List invocations, newest first
    ///
    /// Reads the store whether or not a process owns it. On a terminal the table is fitted to its width, and shows the
    /// last 12 characters of each correlation ID, which every command accepts.
    Invocations {
        /// Only those in this state; a group is running while it has members that have not ended
        #[arg(long, value_name = "STATE")]
        state: Option<State>,

        #[command(flatten)]
        page: Page,
    },

    /// List, run again or discard dead letters: background invocations that ended in anything but Completed
    ///
    /// The failure of a synchronous call is not a dead letter, because its caller has received it.
    #[command(subcommand, arg_required_else_help = true)]
    Dead(Dead),

    /// Cancel invocations that have not ended
    ///
    /// Must own the store, so it is an error while another process does. Failure callbacks of what is cancelled run when
    /// `serve` does.
    Cancel {
        /// The correlation IDs of the invocations, or the last 6 or more characters of each
        #[arg(required = true, value_name = "CID")]
        cids: Vec<CidArgument>,

        /// Also cancel everything that they have invoked
        #[arg(long)]
        with_tree: bool,
    },
}

/// `dead`
#[derive(Debug, Subcommand)]
pub(super) enum Dead {
    /// List dead letters, newest first
    ///
    /// Reads the store whether or not a process owns it.
    List(Page),

    /// Run dead letters again, each under a new correlation ID, and print their outcomes
    ///
    /// Must own the store, so it is an error while another process does. Exits with 1 if any of them, or anything that
    /// followed from it, ended in anything but Completed. The last line is a summary, with --json too.
    Retry(Which),

    /// Delete dead letters for good
    ///
    /// Must own the store, so it is an error while another process does. With --all it asks before it deletes anything. The
    /// last line is a summary, with --json too.
    Discard {
        #[command(flatten)]
        which: Which,

        /// Do not ask; needed where standard input is not a terminal
        #[arg(long, short)]
        yes: bool,
    },
}

/// `explain`
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The correlation ID of the invocation, or its last 6 or more characters
    pub(super) cid: CidArgument,

    /// Show the request and the response too
    #[arg(long)]
    pub(super) payload: bool,

    /// Show the whole causal tree, instead of the way from its root and what is below the invocation; `--json` always does
    #[arg(long)]
    pub(super) tree: bool,
}

/// A part of a list.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// Only those of this service, under its former names too
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,

    /// The largest number of rows
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,

    /// Only those that were called before this one; give the last of a page to get the next page
    #[arg(long, value_name = "CID")]
    pub(super) before: Option<CidArgument>,
}

/// A choice of dead letters.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("letters").required(true).args(["cids", "all"]))]
pub(super) struct Which {
    /// Their correlation IDs, or the last 6 or more characters of each
    #[arg(value_name = "CID")]
    pub(super) cids: Vec<CidArgument>,

    /// All dead letters
    #[arg(long)]
    pub(super) all: bool,

    /// With --all: only those of this service, under its former names too
    #[arg(long, value_name = "NAME", requires = "all")]
    pub(super) service: Option<String>,
}

/// The states that a list can be limited to.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum State {
    /// Has not started, or waits for its next attempt
    Waiting,
    /// Is running
    Running,
    /// Has ended, with any outcome
    Ended,
    /// A dead letter: was called in the background, ended in anything but Completed, and was not run again
    Dead,
}

/// `invoke`
#[derive(Debug, Args)]
pub(super) struct Invoke {
    /// The name of the service
    pub(super) name: String,

    /// The request: a JSON object or array, or any other text; `-` reads it from standard input, without the last line
    /// break; without it the request is empty
    #[arg(allow_negative_numbers = true)]
    pub(super) payload: Option<String>,

    /// Read the request from a file
    #[arg(long, value_name = "FILE", conflicts_with = "payload")]
    pub(super) file: Option<PathBuf>,

    /// Run it in the background: print its correlation ID at once, then every outcome that follows from it, as it comes;
    /// so do --callback and --on-failure
    #[arg(long = "async")]
    pub(super) asynchronous: bool,

    /// Do not wait for what the service starts in the background; what has not ended stays in the store for `serve`
    #[arg(long)]
    pub(super) no_wait: bool,

    #[command(flatten)]
    pub(super) callbacks: Callbacks,
}

/// `run`
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The name of the service
    pub(super) name: String,

    /// The file whose lines are the requests; `-` is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(super) lines: PathBuf,

    #[command(flatten)]
    pub(super) callbacks: Callbacks,
}

/// The callbacks of a call.
#[derive(Debug, Args)]
pub(super) struct Callbacks {
    /// A service that receives the response; repeatable
    #[arg(long, value_name = "NAME")]
    pub(super) callback: Vec<String>,

    /// A service that receives a report if the call fails; repeatable
    #[arg(long, value_name = "NAME")]
    pub(super) on_failure: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(line: &[&str]) -> Result<Arguments, clap::Error> {
        let about = About { version: None, engine: None };
        let line = std::iter::once("program").chain(line.iter().copied());
        Arguments::from_arg_matches(&command("program", &about).try_get_matches_from(line)?)
    }

    #[test]
    fn the_command_line_is_sound() {
        command("program", &About { version: Some("1.2.3"), engine: Some("memory:") }).debug_assert();
    }

    #[test]
    fn a_negative_number_is_a_payload_and_a_misspelled_option_is_not() {
        let payload = |line: &[&str]| match matches(line)?.command {
            Command::Invoke(invoke) => Ok(invoke.payload),
            other => panic!("{other:?}"),
        };
        for number in ["-5", "-1.5", "-2e3", "-"] {
            let read = payload(&["invoke", "x", number]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(read.as_deref(), Some(number));
        }
        assert!(payload(&["invoke", "x", "--asnyc"]).is_err_and(|error: clap::Error| error.exit_code() == 2));
    }
}
