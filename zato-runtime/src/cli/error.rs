//! Why a command failed.

use std::time::Duration;

use zato_core::CallError;

use super::input::InputError;
use super::logging::LogError;
use crate::engine::EngineError;
use crate::error::Error;
use crate::words::length;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Run(#[from] Error),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("tokio cannot be started: {0}")]
    Tokio(std::io::Error),
    #[error("a payload cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The system has no thread for the program.
    #[error(
        "no thread can be started: {0}; allow this user or this container more processes and threads (`ulimit -u`, \
         `pids.max`), or free memory"
    )]
    NoThread(std::io::Error),
    /// There is nothing to look at.
    #[error(
        "`{url}` keeps nothing that there was to look at: name the store that another process runs on, or has, with \
         `--engine sqlite:PATH`"
    )]
    Alone { url: String },
    /// Another process has had the store all the time.
    #[error("waited {} for it: {error}", length(*.waited))]
    StillOwned { waited: Duration, error: Error },
    /// What the command does is for the owner of the store.
    #[error(
        "`{path}` belongs to {}, and `{command}` changes what it holds: have that end with `{}`, which finishes what runs \
         first, and ask again; `invocations` and `explain` look beside it",
        process(*.pid), kill(*.pid)
    )]
    Owned { command: &'static str, path: String, pid: Option<u32> },
    /// Asked to stop twice.
    #[error("stopped: {0}")]
    Stopped(String),
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

/// Who has a store.
pub(super) fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn kill(pid: Option<u32>) -> String {
    pid.map_or_else(|| "kill PID".to_owned(), |pid| format!("kill {pid}"))
}
