//! `cancel`: ends what waits, without running it.

use serde_json::json;
use zato_core::{CallError, Cancellation, Cid};

use super::cids::CidArgument;
use super::error::CliError;
use super::find_cid::find_all;
use super::output::Output;
use super::resources::Setup;
use super::terminal::say_error;
use super::{signals, store};
use crate::base::format::escaped;
use crate::runtime::error::Error;
use crate::runtime::handle::Runtime;

/// Cancels invocations; all went well if each of them has ended as `Cancelled`.
pub(super) async fn cancel(
    setup: Setup,
    cids: Vec<CidArgument>,
    with_tree: bool,
    output: Output,
) -> Result<bool, CliError> {
    let (runtime, store) = store::start_at_once(setup, "cancel").await?;
    let cids = find_all(cids, &*store).await?;
    let all = async {
        let mut went_well = true;
        for cid in cids {
            went_well &= one(&runtime, cid, with_tree, output).await?;
        }
        Ok::<_, CliError>(went_well)
    };
    let went_well = tokio::select! {
        all = all => all?,
        drained = signals::shutdown_on_signal(&runtime) => return drained.map(|()| false).map_err(Into::into),
    };
    runtime.shutdown().await?;
    Ok(went_well)
}

async fn one(runtime: &Runtime, cid: Cid, with_tree: bool, output: Output) -> Result<bool, CliError> {
    let mut below = Vec::new();
    if with_tree {
        below = runtime.shared().engine.below(cid).await.map_err(Error::from)?;
    }
    let cancel = runtime.cancel(cid);
    let answer = match if with_tree { cancel.with_tree().await } else { cancel.await } {
        Ok(answer) => answer,
        Err(error @ CallError::NotHeld(_)) => {
            let error = escaped(&error.to_string());
            if output.json {
                Output::value(&json!({ "cid": cid, "error": error }));
            }
            say_error(&error);
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    // What belongs to it ends by the same step or soon after it, since nothing of it runs.
    let outcome = runtime.outcome(cid).await?;
    let mut others = 0;
    for cid in below {
        match runtime.outcome(cid).await {
            Ok(_) | Err(Error::NotHeld(_)) => others += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let had_ended = matches!(answer, Cancellation::Ended(_));
    if output.json {
        Output::value(&json!({
            "cid": cid, "outcome": outcome.name(), "had_ended": had_ended, "below": others,
        }));
    } else {
        let had = if had_ended { "had ended before" } else { "has ended" };
        let below = if others > 0 { format!(", and {others} below it with it") } else { String::new() };
        Output::line(&format!("{cid} {had}: {}{below}", outcome.name()));
    }
    Ok(matches!(outcome, zato_core::Outcome::Cancelled(_)))
}
