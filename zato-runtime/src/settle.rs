//! The one place that settles: the outcome of an invocation and all that follows from it, as one step.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zato_core::bus::Step;
use zato_core::{Channel, FailureReport, Invocation, Outcome, Payload};

use crate::cid;
use crate::engine::{LeaseLost, Settled};
use crate::record::{AttemptId, Batch, Delivery, Ended, Settle, Verdict};
use crate::shared::Shared;

/// Hands the engine the outcome together with the invocations of the callbacks, and answers with what of them
/// was started. `started_at` is none where the last attempt is one of before, or there was none.
pub(crate) fn settle(
    shared: &Arc<Shared>,
    delivery: Delivery,
    outcome: Outcome,
    started_at: Option<SystemTime>,
) -> Step<'static, Batch<Delivery>> {
    let ended = Ended {
        invocation: delivery.invocation.clone(),
        outcome,
        attempts: delivery.attempt,
        started_at: started_at.or(delivery.last_started_at),
        ended_at: shared.config.clock.now(),
    };
    let callbacks = callbacks(&ended);
    // Whoever called synchronously is told by the call.
    let is_awaited = ended.invocation.channel == Channel::Invoke;
    // A member of a group is told of in its row.
    let is_told = is_awaited || ended.invocation.slot.is_some();
    let is_dead = !ended.outcome.is_completed() && callbacks.is_empty() && !is_told;
    let told = Told {
        observed: shared.observer.as_ref().map(|observer| {
            callbacks.iter().for_each(|callback| observer.entering(callback));
            (ended.clone(), callbacks.clone())
        }),
        dead: is_dead.then(|| ended.clone()),
    };
    record(shared, delivery, Verdict::End { ended, callbacks }, told)
}

/// Who is to be told once it is recorded.
#[derive(Default)]
struct Told {
    /// A door that listens: of the end, and of the callbacks.
    observed: Option<(Ended, Batch<Arc<Invocation>>)>,
    /// The log, where nobody else is.
    dead: Option<Ended>,
}

/// Has another attempt made at some time.
pub(crate) fn again(
    shared: &Arc<Shared>,
    delivery: Delivery,
    at: SystemTime,
    started_at: SystemTime,
    error: &str,
) -> Step<'static, Batch<Delivery>> {
    let (cid, service, attempt) = (delivery.invocation.cid, &*delivery.invocation.service, delivery.attempt);
    tracing::warn!(%cid, service, attempt, error, next = rfc3339(at), "failed, and will be tried again");
    record(shared, delivery, Verdict::Again { at, started_at }, Told::default())
}

fn record(
    shared: &Arc<Shared>,
    delivery: Delivery,
    verdict: Verdict,
    told: Told,
) -> Step<'static, Batch<Delivery>> {
    let Delivery { invocation, attempt, lease, .. } = delivery;
    let id = AttemptId { cid: invocation.cid, number: attempt };
    let inner = shared.take_inner(id);
    let mut batch = Batch::new();
    batch.push(Settle { cid: id.cid, lease, verdict, inner });
    match shared.engine.settle(batch) {
        Step::Now(answers) => Step::now(recorded(shared, id, told, answers.unwrap_or_default())),
        Step::Later(answers) => {
            let shared = shared.clone();
            Step::later(async move { recorded(&shared, id, told, answers.await) })
        }
    }
}

fn recorded(
    shared: &Shared,
    id: AttemptId,
    told: Told,
    answers: Batch<Result<Settled, LeaseLost>>,
) -> Batch<Delivery> {
    // Whatever came for the attempt between its end and this is for nobody.
    shared.attempts.forget(id);
    drop(shared.take_inner(id));
    let settled = answers.into_iter().next().and_then(Result::ok);
    if let (Some(observer), Some((ended, callbacks))) = (&shared.observer, told.observed) {
        match &settled {
            Some(settled) => {
                observer.ended(&ended);
                settled.joined.iter().for_each(|group| observer.ended(group));
            }
            None => callbacks.iter().for_each(|callback| observer.refused(callback)),
        }
    }
    // Without an answer somebody else ended it, and told everyone.
    let Some(settled) = settled else { return Batch::new() };
    if let Some(Ended { invocation, outcome, .. }) = told.dead {
        let (cid, service, error) = (invocation.cid, &*invocation.service, outcome.error());
        let outcome = outcome.name();
        tracing::error!(%cid, service, outcome, error, "ended without a failure callback");
    }
    settled.granted
}

/// The invocations that carry an outcome to those who are to receive it.
pub(crate) fn callbacks(ended: &Ended) -> Batch<Arc<Invocation>> {
    let invocation = &ended.invocation;
    let (names, payload) = match &ended.outcome {
        Outcome::Completed(response) => (&invocation.callbacks, response.clone()),
        _ if invocation.on_failure.is_empty() => return Batch::new(),
        _ => (&invocation.on_failure, report(ended)),
    };
    names
        .iter()
        .map(|name| Arc::new(invocation.callback(cid::mint(), name.clone(), payload.clone())))
        .collect()
}

/// What failure callbacks are told.
fn report(ended: &Ended) -> Payload {
    let times = (ended.started_at.map(rfc3339), rfc3339(ended.ended_at));
    let invocation = &ended.invocation;
    let report = FailureReport::new(
        invocation.cid,
        &invocation.service,
        &ended.outcome,
        ended.attempts,
        &invocation.payload,
        times,
    );
    match Payload::write(&report) {
        Ok(payload) => payload,
        Err(error) => unreachable!("strings and numbers are always JSON: {error}"),
    }
}

pub(crate) fn rfc3339(time: SystemTime) -> String {
    // The format ends with the year 9999, and begins with 1970.
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(time.clamp(UNIX_EPOCH, last)).to_string()
}
