//! Why a command failed, and the exit code for it.

use std::fmt;
use std::time::Duration;

use zato_core::CallError;

use super::args::USAGE;
use super::given::{Given, NotText};
use super::input::InputError;
use super::logging::LogError;
use crate::base::format::duration;
use crate::engine::EngineError;
use crate::runtime::error::Error;

/// A signal that asks the program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Ctrl-C.
    Interrupt,
    #[cfg(unix)]
    Terminate,
}

impl Signal {
    /// The exit code of a program that stops because of it, as a shell reports it: 128 and the signal's number.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            #[cfg(unix)]
            Self::Terminate => 143,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "ctrl-C",
            #[cfg(unix)]
            Self::Terminate => "SIGTERM",
        })
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Run(#[from] Error),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Log(#[from] LogError),
    /// The engine's URL is faulty.
    #[error("{given}: {error}")]
    Engine { given: Given, error: EngineError },
    /// The engine's URL is empty.
    #[error(
        "{source_name} is set but empty: set it to `sqlite:PATH` or `memory:`, or remove it for the default"
    )]
    EmptyEngine { source_name: String },
    #[error(transparent)]
    NotText(#[from] NotText),
    /// A resource could not be made.
    #[error("the resource `{type_name}` cannot be made: {why}")]
    Resource { type_name: String, why: String },
    #[error("tokio cannot be started: {0}")]
    Tokio(std::io::Error),
    #[error("a payload cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The environment sets a number of workers that is none.
    #[error(
        "`TOKIO_WORKER_THREADS` is set to `{value}`, but must be a whole number from 1: set it to one, or remove it for a worker \
         for each processor"
    )]
    Workers { value: String },
    /// The system has no thread for the program.
    #[error(
        "no thread can be started: {0}; allow this user or this container more processes and threads (`ulimit -u`, \
         `pids.max`), or free memory"
    )]
    NoThread(std::io::Error),
    /// `main` starts a tokio runtime, which cannot be done inside of one.
    #[error(
        "`main` of `zato_runtime` was called inside a tokio runtime, but it starts its own: make `fn main` an \
         ordinary function without `#[tokio::main]`, and make what needs tokio with `App::provide_with`; to run the bus \
         inside your own tokio runtime, use `Runtime::builder()`"
    )]
    InsideTokio,
    /// The store cannot be read from outside of its process.
    #[error(
        "`{url}` keeps nothing that this command could read or change: name a store with \
         `--engine sqlite:PATH`"
    )]
    Alone { url: String },
    /// Work was to be left in a store that keeps nothing.
    #[error(
        "`--no-wait` leaves unfinished invocations in the store, but `{url}` keeps nothing: name a store with \
         `--engine sqlite:PATH`, or wait"
    )]
    NothingKept { url: String },
    /// Only another program has the service that was called synchronously.
    #[error(
        "`{service}` belongs to another program that has used this store, and a synchronous call runs in this one: with \
         `--async --no-wait` the call is kept until that program runs"
    )]
    HostedElsewhere { service: String },
    /// Another process owned the store all the time.
    #[error("waited {} for the store: {error}", duration(*.waited))]
    StillOwned { waited: Duration, error: Box<Error> },
    /// The command changes the store, and another process owns it.
    #[error(
        "`{path}` belongs to {}, and `{command}` needs to own the store: stop that process with `{}`, which lets running \
         handlers finish, and try again; `invocations` and `explain` do not need to own it",
        process(*.pid), kill(*.pid)
    )]
    Owned { command: &'static str, path: String, pid: Option<u32> },
    #[error(
        "no invocation in the store has a correlation ID that ends with `{ending}`: `invocations` lists them"
    )]
    NoSuchEnding { ending: String },
    #[error("more than one correlation ID ends with `{ending}`: give more characters of one of{candidates}")]
    Ambiguous { ending: String, candidates: String },
    /// Nobody can be asked.
    #[error("`dead discard --all` deletes {letters} for good: add `--yes` to do that without a question")]
    NeedsYes { letters: String },
    /// Asked to stop.
    #[error("stopped by {signal}: {what}")]
    Stopped { signal: Signal, what: String },
}

impl CliError {
    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Log(_)
            | Self::Engine { .. }
            | Self::EmptyEngine { .. }
            | Self::NotText(_)
            | Self::NothingKept { .. }
            | Self::Workers { .. }
            | Self::NeedsYes { .. } => USAGE,
            Self::Stopped { signal, .. } => signal.code(),
            _ => 1,
        }
    }
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> Self {
        Self::Run(error.into())
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Alone { url } => Self::Alone { url },
            error => Self::Run(error.into()),
        }
    }
}

/// Names the owner of a store.
pub(super) fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn kill(pid: Option<u32>) -> String {
    pid.map_or_else(|| "kill PID".to_owned(), |pid| format!("kill {pid}"))
}
