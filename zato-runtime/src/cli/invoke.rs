//! `invoke`: one service, synchronously or in the background.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::time::sleep;
use zato_core::{CallError, Outcome, Payload};

use super::args;
use super::error::CliError;
use super::follow::Follow;
use super::input;
use super::lines::{Failure, LISTED};
use super::output::Output;
use super::resources::Setup;
use super::terminal::{self, say, say_error};
use super::{signals, store};
use crate::base::format::{count, escaped, grouped};
use crate::engine;
use crate::record::Ended;
use crate::runtime::error::Error;
use crate::runtime::handle::Runtime;

/// The time after which a terminal shows that something is under way.
const QUIET: Duration = Duration::from_secs(1);

/// How often that is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// Runs the service; returns whether all went well.
pub(super) async fn invoke(setup: Setup, invoke: args::Invoke, output: Output) -> Result<bool, CliError> {
    let url = setup.builder.engine_url();
    if invoke.no_wait && !engine::keeps(url) {
        return Err(CliError::NothingKept { url: escaped(url) });
    }
    let (argument, file) = (invoke.payload.clone(), invoke.file.clone());
    let payload =
        signals::unless_asked(move || input::request(argument.as_deref(), file.as_deref())).await??;
    let follow = Arc::new(Follow::new(output));
    let runtime = store::start(setup.map(|builder| builder.observer(follow.clone()))).await?;
    let run = async {
        if invoke.asynchronous || !invoke.callbacks.is_empty() {
            in_background(&runtime, &follow, &invoke, payload, output).await
        } else {
            and_wait(&runtime, &follow, &invoke, payload, output).await
        }
    };
    let mut drained = pin!(signals::shutdown_on_signal(&runtime));
    // A call that was refused ends the runtime as properly as one that was not.
    let went_well = tokio::select! {
        biased;
        went_well = run => went_well,
        drained = &mut drained => {
            drained?;
            show_failed(&follow, output);
            say_stopped(output);
            return Ok(false);
        }
        never = show_life(&follow, &invoke.name) => match never {},
    };
    terminal::clear();
    // A shutdown that has begun meanwhile goes on only where it is awaited.
    tokio::select! {
        biased;
        drained = &mut drained => drained?,
        shut_down = runtime.shutdown() => shut_down?,
    }
    match went_well {
        // The call itself was cut off by the request to stop.
        Err(CliError::Run(Error::Call(CallError::ShuttingDown | CallError::Interrupted { .. })))
            if signals::signal_so_far().is_some() =>
        {
            say_stopped(output);
            Ok(false)
        }
        went_well => went_well,
    }
}

/// Prints the value of a command that was asked to stop before it had another.
fn say_stopped(output: Output) {
    if output.json
        && let Some(signal) = signals::signal_so_far()
    {
        Output::value(&json!({ "error": format!("stopped by {signal}") }));
    }
}

/// Prints the response, and waits for what the service started in the background.
async fn and_wait(
    runtime: &Runtime,
    follow: &Follow,
    invoke: &args::Invoke,
    payload: Payload,
    output: Output,
) -> Result<bool, CliError> {
    match runtime.invoke(&invoke.name, payload).await {
        Ok(_) | Err(CallError::Ended { .. }) => {}
        Err(CallError::Unknown(_)) if runtime.shared().engine.announced(&invoke.name).is_some() => {
            return Err(CliError::HostedElsewhere { service: invoke.name.clone() });
        }
        Err(refused) => return Err(refused.into()),
    }
    let root = follow.root_ended(runtime).await;
    match &root.outcome {
        _ if output.json => output.ended(&root),
        Outcome::Completed(response) => Output::response(response),
        outcome => {
            say_error(&format!("`{}` ended as {}", invoke.name, escaped(&outcome.to_string())));
            say_retries(runtime, &root);
        }
    }
    if invoke.no_wait {
        return Ok(root.outcome.is_completed());
    }
    let counts = follow.all_ended(runtime).await;
    show_failed(follow, output);
    Ok(counts.failed == 0)
}

/// Names those that failed of all that followed from an invocation, if they have not been printed as they ended.
fn show_failed(follow: &Follow, output: Output) {
    let (failed, of) = (follow.failed(), follow.counts().ended.saturating_sub(1));
    if output.json {
        for ended in &failed {
            output.ended(ended);
        }
        return;
    }
    if !failed.is_empty() {
        say(&format!(
            "{} of {} that followed from it failed:",
            grouped(failed.len()),
            count(of, "invocation")
        ));
    }
    failed.iter().take(LISTED).for_each(|ended| say(&format!("  {}", Failure::of(ended))));
    if failed.len() > LISTED {
        say(&format!("  and {} more; `--json` prints all of them", grouped(failed.len() - LISTED)));
    }
}

/// Says that the service would have been tried again in the background, if that is so.
fn say_retries(runtime: &Runtime, ended: &Ended) {
    let entry = runtime.shared().registry.get(&ended.invocation.service);
    let most = entry.and_then(|entry| entry.registration.settings().max_attempts).unwrap_or(1);
    let is_final = ended.outcome.ending().is_none_or(|ending| ending.permanent);
    if most > 1 && !is_final {
        say(&format!("with `--async` it has up to {} attempts", grouped(most as usize)));
    }
}

/// Prints the CID, and then every outcome as it comes.
async fn in_background(
    runtime: &Runtime,
    follow: &Follow,
    invoke: &args::Invoke,
    payload: Payload,
    output: Output,
) -> Result<bool, CliError> {
    let cid = invoke.callbacks.apply(runtime.invoke_async(&invoke.name, payload)).await?;
    if output.json {
        Output::value(&json!({ "cid": cid, "service": invoke.name }));
    } else {
        Output::line(&cid.to_string());
    }
    if invoke.no_wait {
        return Ok(true);
    }
    follow.open();
    Ok(follow.all_ended(runtime).await.failed == 0)
}

/// Never resolves; shows on a terminal that something is under way, and for how long.
async fn show_life(follow: &Follow, name: &str) -> std::convert::Infallible {
    if !terminal::is_watched() {
        return std::future::pending().await;
    }
    sleep(QUIET).await;
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let bar = ProgressBar::new_spinner()
        .with_elapsed(QUIET)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    terminal::show(bar.clone());
    loop {
        let live = count(follow.live(), "invocation");
        bar.set_message(format!("{}: {live} not ended", escaped(name)));
        bar.tick();
        sleep(TICK).await;
    }
}
