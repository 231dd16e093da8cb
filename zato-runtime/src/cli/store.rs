//! The store that a command works on: as its owner, once nobody else is, or beside whoever is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::{CliError, process};
use crate::builder::Builder;
use crate::engine::{self, Beside, EngineError};
use crate::error::Error;
use crate::runtime::Runtime;
use crate::words::{count, length, shown};

/// How long a command waits for another process to be done with the store.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it does so without a word.
const QUIET: Duration = Duration::from_secs(1);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

/// Starts a runtime for what this command makes alone. Waits a while for another process to be done with the store.
pub(super) async fn start(builder: Builder) -> Result<Runtime, CliError> {
    let mut builder = builder;
    // Nobody waits to be told that nothing could be run anyway.
    builder.check()?;
    let (began, mut is_told) = (Instant::now(), false);
    loop {
        let (error, pid) = match builder.open() {
            Ok(()) => return Ok(builder.start().await?),
            Err(Error::Engine(EngineError::Owned { path, pid, text })) => {
                (Error::Engine(EngineError::Owned { path, pid, text }), pid)
            }
            Err(error) => return Err(error.into()),
        };
        let waited = began.elapsed();
        if waited >= PATIENCE {
            return Err(CliError::StillOwned { waited, error });
        }
        if waited >= QUIET && !is_told {
            is_told = true;
            let url = shown(builder.engine_url());
            eprintln!("`{url}` belongs to {}: waiting up to {} for it", process(pid), length(PATIENCE));
        }
        sleep(LOOK).await;
    }
}

/// Starts a runtime for a command that changes what is held, on a store that is there and that nobody runs.
pub(super) async fn start_at_once(builder: Builder, command: &'static str) -> Result<Runtime, CliError> {
    // Says what is wrong with it, and makes nothing.
    drop(beside(builder.engine_url())?);
    match builder.start().await {
        Err(Error::Engine(EngineError::Owned { path, pid, .. })) => {
            Err(CliError::Owned { command, path: shown(&path.to_string_lossy()), pid })
        }
        started => Ok(started?),
    }
}

/// Opens the store to look at it.
pub(super) fn beside(url: &str) -> Result<Arc<dyn Beside>, CliError> {
    Ok(engine::open_beside(url)?)
}

/// How many wait in the store, or did run when their process died.
pub(super) async fn left(url: &str) -> usize {
    let Ok(store) = engine::open_beside(url) else { return 0 };
    store.counts().await.map_or(0, |counts| counts.waiting + counts.running)
}

/// Says how many this command has left alone.
pub(super) async fn tell_left(url: &str) {
    let left = left(url).await;
    if left > 0 {
        let others = count(left, "other invocation");
        let wait = if left == 1 { "waits" } else { "wait" };
        eprintln!("{others} {wait} in `{}`: `serve` runs what is due", shown(url));
    }
}
