//! The store that a command works on: as its owner, once nobody else is, or beside whoever is.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::{CliError, process};
use super::stop;
use crate::builder::Builder;
use crate::engine::{self, Beside, EngineError};
use crate::error::Error;
use crate::runtime::Runtime;
use crate::words::{grouped, length, shown};

/// How long a command waits for another process to be done with the store.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it does so without a word.
const QUIET: Duration = Duration::from_secs(1);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

/// Starts a runtime for what this command makes alone. Waits a while for another process to be done with the store.
pub(super) async fn start(builder: Builder) -> Result<Runtime, CliError> {
    let mut builder = builder.only_new(true);
    // Nobody waits to be told that nothing could be run anyway.
    builder.check()?;
    let (began, mut is_told, mut asked) = (Instant::now(), false, pin!(stop::asked()));
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
        tokio::select! {
            () = sleep(LOOK) => {}
            () = &mut asked => return Err(CliError::Stopped("nothing was begun".to_owned())),
        }
    }
}

/// Starts a runtime for a command that changes what is held, on a store that is there and that nobody runs.
pub(super) async fn start_at_once(builder: Builder, command: &'static str) -> Result<Runtime, CliError> {
    // Says what is wrong with it, and makes nothing.
    drop(beside(builder.engine_url())?);
    match builder.only_new(true).start().await {
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
    match left(url).await {
        0 => {}
        1 => eprintln!("1 more waits in `{}`: `serve` runs what is due", shown(url)),
        left => eprintln!("{} more wait in `{}`: `serve` runs what is due", grouped(left), shown(url)),
    }
}
