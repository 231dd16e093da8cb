//! `serve`: runs what is due until it is asked to stop.

use super::error::CliError;
use super::{stop, store};
use crate::builder::Builder;
use crate::engine;
use crate::words::{count, shown};

/// Runs what is due; all went well if nothing but a request to stop ends it.
pub(super) async fn serve(builder: Builder) -> Result<bool, CliError> {
    let url = builder.engine_url().to_owned();
    let services = builder.registry()?.sorted().into_iter().filter(|entry| !entry.is_built_in).count();
    let waiting = store::left(&url).await;
    let runtime = builder.start().await?;
    tracing::info!(engine = %shown(&url), services, waiting, "serving; ctrl-C or SIGTERM ends it");
    stop::served(&runtime).await?;
    if engine::keeps(&url) {
        let left = match store::left(&url).await {
            0 => "nothing is left".to_owned(),
            left => format!("{} left, for the next start", count(left, "invocation")),
        };
        tracing::info!(engine = %shown(&url), "stopped: {left}");
    } else {
        tracing::info!(engine = %shown(&url), "stopped");
    }
    Ok(true)
}
