//! The store that a command works on: owned by the command, or read beside its owner.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::{CliError, process};
use super::resources::Setup;
use super::signals;
use super::terminal::say;
use crate::base::format::{count, duration, escaped};
use crate::engine::{self, EngineError, ReadOnlyStore};
use crate::runtime::builder::Builder;
use crate::runtime::error::Error;
use crate::runtime::handle::Runtime;

/// The time that a command waits for another process to be done with the store.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time that it waits before it says so.
const QUIET: Duration = Duration::from_secs(1);

/// The time between two tries.
const LOOK: Duration = Duration::from_millis(50);

/// Starts a runtime that runs only what this command makes. Waits a while for another process to be done with the store.
pub(super) async fn start(setup: Setup) -> Result<Runtime, CliError> {
    start_any(setup.map(|builder| builder.only_new(true))).await
}

/// The same for a runtime that runs everything that is due.
pub(super) async fn start_any(mut setup: Setup) -> Result<Runtime, CliError> {
    // Faulty services are an error at once, without a wait for the store.
    setup.builder.check()?;
    open(&mut setup.builder).await?;
    let builder = make(setup).await?;
    Ok(builder.start().await?)
}

/// Opens the store; waits a while for another process to be done with it.
async fn open(builder: &mut Builder) -> Result<(), CliError> {
    let (began, mut has_said, mut asked) = (Instant::now(), false, pin!(signals::asked()));
    loop {
        let (error, pid) = match builder.open() {
            Ok(()) => return Ok(()),
            Err(Error::Engine(EngineError::Owned { path, pid, text })) => {
                (Error::Engine(EngineError::Owned { path, pid, text }), pid)
            }
            Err(error) => return Err(error.into()),
        };
        let waited = began.elapsed();
        if waited >= PATIENCE {
            return Err(CliError::StillOwned { waited, error: Box::new(error) });
        }
        if waited >= QUIET && !has_said {
            has_said = true;
            let url = escaped(builder.engine_url());
            say(&format!("`{url}` belongs to {}: waiting up to {} for it", process(pid), duration(PATIENCE)));
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            signal = &mut asked => return Err(signals::before_anything(signal)),
        }
    }
}

/// Makes the resources; the first request to stop ends that.
async fn make(setup: Setup) -> Result<Builder, CliError> {
    tokio::select! {
        biased;
        builder = setup.make() => builder,
        signal = signals::asked() => Err(signals::before_anything(signal)),
    }
}

/// Starts a runtime for a command that changes the store, which must exist and have no owner. Also returns the store
/// as others see it.
pub(super) async fn start_at_once(
    setup: Setup,
    command: &'static str,
) -> Result<(Runtime, Arc<dyn ReadOnlyStore>), CliError> {
    // Says what is wrong with it, and creates nothing.
    let store = beside(setup.builder.engine_url())?;
    let mut setup = setup.map(|builder| builder.only_new(true));
    setup.builder.check()?;
    match setup.builder.open() {
        Err(Error::Engine(EngineError::Owned { path, pid, .. })) => {
            return Err(CliError::Owned { command, path: escaped(&path.to_string_lossy()), pid });
        }
        opened => opened?,
    }
    Ok((make(setup).await?.start().await?, store))
}

/// Opens the store to read it.
pub(super) fn beside(url: &str) -> Result<Arc<dyn ReadOnlyStore>, CliError> {
    Ok(engine::open_read_only(url)?)
}

/// Counts the invocations that wait in the store, or ran when their process died.
pub(super) async fn left(url: &str) -> usize {
    let Ok(store) = engine::open_read_only(url) else { return 0 };
    store.counts().await.map_or(0, |counts| counts.waiting + counts.running)
}

/// Says how many wait in the store, those that this command has left there included.
pub(super) async fn tell_left(url: &str) {
    let left = left(url).await;
    if left > 0 {
        let wait = if left == 1 { "waits" } else { "wait" };
        say(&format!("{} {wait} in `{}`: `serve` runs what is due", count(left, "invocation"), escaped(url)));
    }
}
