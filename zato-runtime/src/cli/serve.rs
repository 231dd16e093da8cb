//! `serve`: runs what is due until it is asked to stop.

use super::error::CliError;
use super::resources::Setup;
use super::{signals, store};
use crate::base::format::{count, escaped};
use crate::engine;

/// Runs what is due; all went well if a request to stop ends it.
pub(super) async fn serve(setup: Setup) -> Result<bool, CliError> {
    let url = setup.builder.engine_url().to_owned();
    let services = setup.builder.registry()?.sorted().into_iter().filter(|entry| !entry.is_built_in).count();
    let runtime = store::start_any(setup).await?;
    let waiting = store::left(&url).await;
    tracing::info!(engine = %escaped(&url), services, waiting, "serving; ctrl-C or SIGTERM stops it");
    signals::serve_until_signal(&runtime).await?;
    if engine::keeps(&url) {
        let left = match store::left(&url).await {
            0 => "all invocations have ended".to_owned(),
            left => format!("{} kept for the next start", count(left, "invocation")),
        };
        tracing::info!(engine = %escaped(&url), "stopped: {left}");
    } else {
        tracing::info!(engine = %escaped(&url), "stopped");
    }
    Ok(true)
}
