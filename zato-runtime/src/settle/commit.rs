//! The one place that settles: it records an outcome and everything that follows from it in one step.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use zato_core::{Channel, Cid, Invocation, Outcome, ServiceName};

use super::callbacks::follow_ups;
use crate::attempt::dispatch::quietly;
use crate::attempt::retry::SHUT_DOWN;
use crate::base::format::rfc3339;
use crate::base::log_target;
use crate::bus::core::BusCore;
use crate::engine::Settled;
use crate::record::{AttemptId, Batch, Delivery, Ended, Lease, Settle, Task, Tried, Verdict};

/// Whether the handler of an attempt that is over has been dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overruns {
    /// It has.
    No,
    /// It waits for something, and is dropped when its worker is free.
    Waits,
    /// It has not returned to its worker.
    Runs,
}

/// Hands the engine the outcome together with the invocations that follow from it, and answers with what of them is
/// to be run now; what is started later the engine delivers. `lingers` where the handler has not been dropped.
pub(crate) fn commit_end(
    shared: &Arc<BusCore>,
    delivery: Delivery,
    outcome: Outcome,
    overruns: Overruns,
) -> Batch<Delivery> {
    let by = (delivery.id(), delivery.lease);
    // Where none was made now, the last attempt is one of before, or there was none.
    let started_at = match delivery.task {
        Task::Run => Some(delivery.started_at),
        _ => delivery.last_started_at(),
    };
    let Delivery { invocation, attempt, before, .. } = delivery;
    let ended_at = shared.config.clock.now();
    let ended = Ended { invocation, outcome, attempts: attempt, started_at, ended_at, before };
    let callbacks = follow_ups(shared, &ended);
    // Whoever called synchronously is told by the call, unless its process has died.
    let is_lost = matches!(ended.outcome, Outcome::Lost(_));
    let is_awaited = ended.invocation.channel == Channel::Invoke && !is_lost;
    // A member of a group is told of in its row.
    let is_told = is_awaited || ended.invocation.slot.is_some();
    let is_dead = !ended.outcome.is_completed() && callbacks.is_empty() && !is_told;
    let told = Notices {
        observed: shared.observer.as_ref().map(|observer| {
            callbacks
                .iter()
                .for_each(|callback| observer.entering(callback.cid, callback.root, callback.channel));
            (Arc::new(ended.clone()), callbacks.clone())
        }),
        dead: is_dead.then(|| Box::new(ended.clone())),
        retry: None,
        service: Some(ended.invocation.service),
        is_given_up: matches!(&ended.outcome, Outcome::Cancelled(ending) if ending.error.starts_with(SHUT_DOWN)),
    };
    // Freed when the engine's lock is released.
    let last = ended.invocation.clone();
    let recorded = record(shared, by, Verdict::End { ended, callbacks }, told, overruns);
    drop(last);
    recorded
}

/// What is reported once the settle is recorded.
#[derive(Default)]
struct Notices {
    /// To a door that listens: the end, and the callbacks.
    observed: Option<(Arc<Ended>, Batch<Arc<Invocation>>)>,
    /// To the log, where no failure callback receives it.
    dead: Option<Box<Ended>>,
    /// To the log: an attempt that is followed by another.
    retry: Option<Box<Retried>>,
    /// To the shutdown: it has ended this.
    is_given_up: bool,
    /// The service, for the log.
    service: Option<ServiceName>,
}

/// Logs that an attempt is over whose handler could not be dropped.
fn log_lingering(attempt: AttemptId, service: Option<ServiceName>, overruns: Overruns) {
    let AttemptId { cid, number: attempt } = attempt;
    let service = service.as_deref();
    match overruns {
        Overruns::No => {}
        Overruns::Waits => tracing::debug!(target: log_target::SETTLE,
            %cid, service, attempt,
            "the attempt has ended; its handler is dropped, and its place is freed, as soon as a worker is free"
        ),
        Overruns::Runs => tracing::warn!(target: log_target::SETTLE,
            %cid, service, attempt,
            "the attempt has ended, but its handler still runs and keeps its place; if it blocks its thread, move the \
             blocking work to `tokio::task::spawn_blocking`"
        ),
    }
}

/// How many invocations that a shutdown ends are logged one by one; the end of the shutdown logs how many there were.
const MOST_LOGGED: usize = 100;

/// An attempt that is followed by another.
struct Retried {
    cid: Cid,
    service: ServiceName,
    attempt: u32,
    error: Box<str>,
    code: Option<Box<str>>,
    at: Option<SystemTime>,
    counts: bool,
}

/// What follows on an attempt that is not the last.
pub(crate) struct Retry {
    /// When the next may start; none after the next start of the program.
    pub(crate) at: Option<SystemTime>,
    /// Whether the one that is over counts.
    pub(crate) counts: bool,
    pub(crate) error: String,
    pub(crate) code: Option<Box<str>>,
}

/// Records that another attempt follows; returns what is to be run now.
pub(crate) fn commit_retry(
    shared: &Arc<BusCore>,
    delivery: &Delivery,
    retry: Retry,
    overruns: Overruns,
) -> Batch<Delivery> {
    let Retry { at, counts, error, code } = retry;
    let (cid, service, attempt) = (delivery.invocation.cid, delivery.invocation.service, delivery.attempt);
    let error = error.into_boxed_str();
    let tried = Tried {
        number: attempt,
        started_at: delivery.started_at.into(),
        ended_at: shared.config.clock.system_time(),
        error: error.clone(),
        code: code.clone(),
        counts,
    };
    let retry = Some(Box::new(Retried { cid, service, attempt, error, code, at, counts }));
    let told = Notices { retry, service: Some(service), ..Notices::default() };
    record(shared, (delivery.id(), delivery.lease), Verdict::Retry { at, tried }, told, overruns)
}

impl Retried {
    fn log(&self) {
        let Self { cid, service, attempt, error, code, at, counts } = self;
        let (service, code): (&str, _) = (service, code.as_deref());
        match at {
            Some(at) if *counts => {
                tracing::warn!(target: log_target::SETTLE, %cid, service, attempt, %error, code, next = rfc3339(*at), "the attempt failed and will be retried");
            }
            Some(at) => {
                tracing::info!(target: log_target::SETTLE,
                    %cid, service, attempt, %error, code, next = rfc3339(*at),
                    "the shutdown interrupted the attempt; it does not count, and is retried within the shutdown's limit"
                );
            }
            None => {
                tracing::info!(target: log_target::SETTLE,
                    %cid, service, attempt, %error, code,
                    "the shutdown interrupted the attempt; it does not count, and runs again after the next start"
                );
            }
        }
    }
}

fn record(
    shared: &Arc<BusCore>,
    (id, lease): (AttemptId, Lease),
    verdict: Verdict,
    told: Notices,
    overruns: Overruns,
) -> Batch<Delivery> {
    let inner = shared.take_inner(id);
    let settle = Settle { cid: id.cid, lease, verdict, inner, overruns: overruns != Overruns::No };
    let mut told = Some(told);
    let answer = shared.engine.settle(settle, &mut || {
        let (shared, told) = (shared.clone(), told.take().unwrap_or_default());
        Box::new(move |answer| recorded(&shared, id, overruns, told, answer.ok()))
    });
    let answer = answer.map(|answer| recorded(shared, id, overruns, told.unwrap_or_default(), answer.ok()));
    answer.unwrap_or_default()
}

fn recorded(
    shared: &BusCore,
    id: AttemptId,
    overruns: Overruns,
    told: Notices,
    settled: Option<Settled>,
) -> Batch<Delivery> {
    // Whatever came for the attempt between its end and this is for nobody.
    shared.attempts.forget(id);
    drop(shared.take_inner(id));
    if settled.is_none() && overruns == Overruns::No {
        // It was over while its handler blocked, and that has been dropped now.
        shared.engine.release(id);
    }
    // Whoever listens to the log may panic, and what has been started is run all the same, by whatever thread this is.
    quietly(|| {
        if settled.is_some() {
            log_lingering(id, told.service, overruns);
        }
        tell(shared, told, settled.as_ref());
    });
    // Without an answer somebody else ended it, and told everyone.
    settled.map(|settled| settled.granted).unwrap_or_default()
}

fn tell(shared: &BusCore, told: Notices, settled: Option<&Settled>) {
    // Logged first: a door that has heard of the last end may end the program.
    if let (Some(retry), true) = (told.retry, settled.is_some()) {
        retry.log();
    }
    let is_counted = told.is_given_up && settled.is_some();
    let before = if is_counted { shared.given_up.fetch_add(1, Ordering::SeqCst) } else { 0 };
    if let (Some(ended), true) = (told.dead, settled.is_some() && before < MOST_LOGGED) {
        let Ended { invocation, outcome, .. } = &*ended;
        let (cid, service) = (invocation.cid, &*invocation.service);
        let (outcome, error, code) = (outcome.name(), outcome.error(), outcome.code());
        tracing::error!(target: log_target::SETTLE, %cid, service, outcome, error, code, "the invocation did not complete, and no failure callback receives its outcome");
    }
    if let (Some(observer), Some((ended, callbacks))) = (&shared.observer, told.observed) {
        match settled {
            Some(settled) => {
                observer.ended(&ended);
                settled.joined.iter().for_each(|group| observer.ended(group));
            }
            None => callbacks
                .iter()
                .for_each(|callback| observer.refused(callback.cid, callback.root, callback.channel)),
        }
    }
}
