//! The course of a shutdown: what is refused, told, given up and logged, and when.
//!
//! | from | what happens |
//! |---|---|
//! | the begin | calls from outside are refused; `shutting_down()` resolves; a durable engine starts nothing more but synchronous calls, whose callers wait; `memory:` ends as `Cancelled` what is not due before it gives up |
//! | `cancel_grace` before the limit | `cancelled()` resolves |
//! | shortly before the limit, or when nothing more can be finished | `memory:` ends what is left as `Cancelled`, so that failure callbacks still run |
//! | the limit | handlers are dropped; `memory:` ends the rest, a durable engine keeps it for the next start, but for synchronous calls, which end as `Cancelled` |
//!
//! What a shutdown ends goes through `settle` as every other end does. A failure callback that can no longer run ends as
//! `Cancelled` too, and is logged.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use zato_core::{Ending, Outcome};

use crate::attempt::retry::{AttemptResult, shut_down};
use crate::base::log_target;
use crate::bus::core::{BusCore, Phase};
use crate::config::Config;
use crate::record::Delivery;
use crate::settle::commit::{Overruns, commit_end};

/// The longest time that is kept for failure callbacks before the limit.
const FOR_CALLBACKS: Duration = Duration::from_secs(1);

/// The times of a shutdown, counted from its begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Schedule {
    /// When handlers are told to stop.
    stop: Duration,
    /// When `memory:` ends what is left.
    give_up: Duration,
    /// When the shutdown ends.
    limit: Duration,
}

impl Schedule {
    fn of(config: &Config) -> Self {
        let limit = config.drain_limit;
        let grace = config.cancel_grace.min(limit);
        let for_callbacks = (grace / 5).min(FOR_CALLBACKS);
        Self { stop: limit.saturating_sub(grace), give_up: limit.saturating_sub(for_callbacks), limit }
    }
}

/// What a shutdown has left when it is over.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Left {
    /// How many invocations the engine ended because it does not keep them.
    pub(crate) cancelled: usize,
    /// How many handlers that waited for something were dropped.
    pub(crate) dropped: usize,
    /// How many invocations wait for the next start.
    pub(crate) waiting: usize,
}

/// Lets handlers end, up to the limit.
pub(crate) async fn drain(shared: &Arc<BusCore>) {
    let (began, schedule) = (Instant::now(), Schedule::of(&shared.config));
    let left_until = |time: Duration| time.saturating_sub(began.elapsed());
    let drained = shared.engine.drain();
    shared.phase.send_replace(Phase::Draining);
    shared.engine.give_up_after(schedule.give_up);
    log_begin(shared);
    tokio::pin!(drained);
    let is_idle = timeout(left_until(schedule.stop), &mut drained).await.is_ok();
    if !is_idle {
        shared.phase.send_replace(Phase::Stopping);
        let until = if shared.is_durable() { schedule.limit } else { schedule.give_up };
        let _ = timeout(left_until(until), &mut drained).await;
    }
    if !shared.is_durable() {
        // What is left when all else has ended cannot run: its service is paused, or hosted nowhere.
        give_up(shared);
        let _ = timeout(left_until(schedule.limit), shared.engine.drain()).await;
    }
}

/// Has the engine end what waits, and drops those handlers whose end somebody is told of. The others have until the limit.
fn give_up(shared: &BusCore) {
    for delivery in shared.engine.give_up() {
        let invocation = &delivery.invocation;
        if invocation.on_failure.is_empty() && invocation.slot.is_none() {
            continue;
        }
        let attempt = delivery.id();
        shared.attempts.give_up(attempt);
        // A handler that blocks its thread is found from outside.
        shared.watch.note(&delivery, Duration::ZERO, AttemptResult::GivenUp);
        if !shared.engine.is_running(attempt) {
            // It ended in between, and nobody would forget it.
            shared.attempts.forget(attempt);
        }
    }
}

/// Ends all that has not ended and is not kept: on a durable engine, synchronous calls from outside. Nothing runs any more.
pub(crate) fn abandon(shared: &Arc<BusCore>) {
    loop {
        let left: Vec<Delivery> = shared.engine.abandon();
        if left.is_empty() {
            return;
        }
        for delivery in left {
            // Nothing is started any more.
            let outcome = Outcome::Cancelled(Ending::new(shut_down(&delivery.invocation), false));
            drop(commit_end(shared, delivery, outcome, Overruns::No));
        }
    }
}

/// Ends a bus whose tokio runtime has ended, unless it has ended already.
pub(crate) fn end_with_tokio(shared: &Arc<BusCore>) {
    if shared.attempts.is_closed() {
        return;
    }
    shared.note_tokio_ended();
    shared.attempts.close();
    shared.watch.close();
    let (engine, (running, waiting)) = (shared.engine.url(), shared.engine.load());
    abandon(shared);
    shared.engine.close();
    let became =
        if shared.is_durable() { "are kept for the next start" } else { "were ended as `Cancelled`" };
    if shared.phase() == Phase::Open {
        tracing::error!(target: log_target::SHUTDOWN,
            engine,
            running,
            waiting,
            "the tokio runtime of this bus ended without a shutdown of the bus; its unfinished invocations {became}: start \
             one bus in each tokio runtime, for example in each test, and await `runtime.shutdown()` before that ends"
        );
    } else if running + waiting > 0 {
        tracing::warn!(target: log_target::SHUTDOWN,
            engine,
            running,
            waiting,
            "the tokio runtime of this bus ended before the shutdown of the bus; its unfinished invocations {became}: \
             call `shutdown().await` before the program ends"
        );
    }
}

fn log_begin(shared: &BusCore) {
    let (running, waiting) = shared.engine.load();
    if running == 0 && waiting == 0 {
        return;
    }
    let (engine, limit) = (shared.engine.url(), shared.config.drain_limit);
    let becomes = if shared.is_durable() {
        "running handlers may finish; waiting invocations are kept for the next start"
    } else {
        "running handlers may finish, and waiting invocations may still run"
    };
    tracing::info!(target: log_target::SHUTDOWN, engine, running, waiting, ?limit, "shutdown begins: {becomes}");
}

/// Logs what was left when a shutdown was over.
pub(crate) fn log_end(shared: &BusCore, left: Left, took: Duration) {
    let (engine, Left { cancelled, dropped, waiting }) = (shared.engine.url(), left);
    if cancelled > 0 && shared.is_durable() {
        tracing::warn!(target: log_target::SHUTDOWN,
            engine,
            cancelled,
            dropped,
            waiting,
            ?took,
            "shutdown ended: unfinished synchronous calls were ended as `Cancelled`; other waiting invocations are kept \
             for the next start"
        );
    } else if cancelled > 0 {
        tracing::warn!(target: log_target::SHUTDOWN,
            engine,
            cancelled,
            dropped,
            ?took,
            "shutdown ended: unfinished invocations were ended as `Cancelled`, because `{engine}` keeps nothing; failure \
             callbacks that could not run within the limit were cancelled too"
        );
    } else if dropped > 0 {
        tracing::warn!(target: log_target::SHUTDOWN,
            engine,
            dropped,
            waiting,
            ?took,
            "shutdown ended at its limit: the handlers that were still running were dropped; their attempts do not count, \
             and run again after the next start"
        );
    } else if waiting > 0 {
        tracing::info!(target: log_target::SHUTDOWN,
            engine,
            waiting,
            ?took,
            "shutdown ended: waiting invocations are kept for the next start"
        );
    } else {
        tracing::debug!(target: log_target::SHUTDOWN, engine, ?took, "shutdown ended: all invocations have ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(limit: u64, grace: u64) -> [u128; 3] {
        let config = Config {
            drain_limit: Duration::from_millis(limit),
            cancel_grace: Duration::from_millis(grace),
            ..Config::default()
        };
        let Schedule { stop, give_up, limit } = Schedule::of(&config);
        [stop, give_up, limit].map(|time| time.as_millis())
    }

    #[test]
    fn the_last_of_the_limit_is_the_grace_and_the_last_of_the_grace_is_for_callbacks() {
        assert_eq!(schedule(25_000, 5_000), [20_000, 24_000, 25_000], "the defaults");
        assert_eq!(schedule(1_000, 5_000), [0, 800, 1_000], "the limit is shorter than the grace");
        assert_eq!(schedule(60_000, 30_000), [30_000, 59_000, 60_000]);
        assert_eq!(schedule(25_000, 0), [25_000; 3], "nobody is told");
        assert_eq!(schedule(0, 5_000), [0; 3]);
    }

    #[test]
    fn a_shutdown_without_a_limit_tells_nobody() {
        let config = Config { drain_limit: Duration::MAX, ..Config::default() };
        assert_eq!(Schedule::of(&config).limit, Duration::MAX);
    }
}
