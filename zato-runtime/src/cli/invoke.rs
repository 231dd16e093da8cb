//! `invoke`: one service, synchronously or in the background.

use std::pin::pin;
use std::sync::Arc;

use serde_json::json;
use zato_core::{CallError, Outcome, Payload};

use super::args;
use super::error::CliError;
use super::follow::Follow;
use super::input;
use super::output::Output;
use super::{stop, store};
use crate::builder::Builder;
use crate::words::shown;

/// Runs the service; answers whether all went well.
pub(super) async fn invoke(builder: Builder, invoke: args::Invoke, output: Output) -> Result<bool, CliError> {
    let payload = input::request(invoke.payload.as_deref(), invoke.file.as_deref())?;
    if invoke.asynchronous || !invoke.callbacks.is_empty() {
        in_background(builder, &invoke, payload, output).await
    } else {
        and_wait(builder, &invoke, payload, output).await
    }
}

/// Prints the response, and waits for what the service started in the background.
async fn and_wait(
    builder: Builder,
    invoke: &args::Invoke,
    payload: Payload,
    output: Output,
) -> Result<bool, CliError> {
    let follow = Arc::new(Follow::new(output));
    let runtime = store::start(builder.observer(follow.clone())).await?;
    let mut drained = pin!(stop::drained(&runtime));
    let called = tokio::select! {
        biased;
        called = runtime.invoke(&invoke.name, payload) => called,
        drained = &mut drained => return drained.map(|()| false).map_err(Into::into),
    };
    match called {
        Ok(_) | Err(CallError::Ended { .. }) => {}
        Err(refused) => return Err(refused.into()),
    }
    let root = tokio::select! {
        root = follow.root_ended(&runtime) => root,
        drained = &mut drained => return drained.map(|()| false).map_err(Into::into),
    };
    match &root.outcome {
        _ if output.json => output.ended(&root),
        Outcome::Completed(response) => Output::response(response),
        outcome => eprintln!("error: `{}` ended as {}", invoke.name, shown(&outcome.to_string())),
    }
    let counts = tokio::select! {
        counts = follow.all_ended(&runtime) => counts,
        drained = &mut drained => return drained.map(|()| false).map_err(Into::into),
    };
    // A shutdown that has begun meanwhile goes on only where it is awaited.
    tokio::select! {
        biased;
        drained = &mut drained => drained?,
        shut_down = runtime.shutdown() => shut_down?,
    }
    if root.outcome.is_completed() && counts.failed > 0 {
        eprintln!("{} of {} invocations that followed from it failed", counts.failed, counts.ended - 1);
    }
    Ok(counts.failed == 0)
}

/// Prints the CID, and then every outcome as it comes.
async fn in_background(
    builder: Builder,
    invoke: &args::Invoke,
    payload: Payload,
    output: Output,
) -> Result<bool, CliError> {
    let follow = Arc::new(Follow::new(output));
    let runtime = store::start(builder.observer(follow.clone())).await?;
    let cid = invoke.callbacks.apply(runtime.invoke_async(&invoke.name, payload)).await?;
    if output.json {
        Output::value(&json!({ "cid": cid, "service": invoke.name }));
    } else {
        Output::line(&cid.to_string());
    }
    follow.open();
    let counts = tokio::select! {
        counts = follow.all_ended(&runtime) => counts,
        drained = stop::drained(&runtime) => return drained.map(|()| false).map_err(Into::into),
    };
    runtime.shutdown().await?;
    Ok(counts.failed == 0)
}
