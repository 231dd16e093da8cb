//! A pending attempt with its deadline and its cancel grace. It is kept small, because thousands may be pending.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep, sleep_until};

use super::cancellation::{CancelToken, Signal};
use super::dispatch::RunningAttempt;
use super::retry::AttemptResult;
use super::watchdog::Limit;
use crate::base::clock::Clock;

/// An attempt with its limits. Resolves when the attempt has brought something, when its limit comes, when its grace is
/// over after it was asked to stop, or when a shutdown gives it up.
pub(crate) struct TimedAttempt {
    running: RunningAttempt,
    limit: Option<Box<Limited>>,
    stop: Arc<CancelToken>,
    grace: Duration,
    /// Ends with its grace, once it has been asked to stop.
    stopped: Option<Pin<Box<Sleep>>>,
}

/// A limit, and the time until somebody looks whether it has come.
struct Limited {
    limit: Limit,
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
}

impl Limited {
    /// What the limit brings, if it has come; else the task is woken to look again.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<AttemptResult> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if let Some(brought) = self.limit.over(&self.clock) {
                return Poll::Ready(brought);
            }
            let at = self.limit.looks_at(&self.clock);
            self.sleep.as_mut().reset(at);
        }
    }
}

impl TimedAttempt {
    pub(crate) fn new(running: RunningAttempt, stop: Arc<CancelToken>, grace: Duration) -> Self {
        Self { running, limit: None, stop, grace, stopped: None }
    }

    /// The same with a limit.
    pub(crate) fn limited(mut self, limit: Option<Limit>, clock: &Clock) -> Self {
        self.set_limit(limit, clock);
        self
    }

    /// Sets the limit of an attempt that begins later than it was made.
    pub(crate) fn set_limit(&mut self, limit: Option<Limit>, clock: &Clock) {
        self.limit = limit.map(|limit| {
            let sleep = Box::pin(sleep_until(limit.looks_at(clock)));
            Box::new(Limited { limit, clock: clock.clone(), sleep })
        });
    }

    /// Whether the attempt has received a stop signal; otherwise the next one wakes it.
    pub(crate) fn is_signalled_or_wakes(&self, cx: &Context<'_>) -> bool {
        self.stop.signal(cx) != Signal::GoOn
    }

    /// Notes whether the attempt waits for something, and is not polled now.
    pub(crate) fn note_waits(&self, waits: bool) {
        self.stop.note_waits(waits);
    }
}

impl Future for TimedAttempt {
    type Output = AttemptResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<AttemptResult> {
        let this = self.get_mut();
        if let Poll::Ready(brought) = Pin::new(&mut this.running).poll(cx) {
            return Poll::Ready(brought);
        }
        if let Some(limited) = &mut this.limit
            && let Poll::Ready(brought) = limited.poll(cx)
        {
            return Poll::Ready(brought);
        }
        let stopped = match this.stop.signal(cx) {
            Signal::End => return Poll::Ready(AttemptResult::GivenUp),
            Signal::Stop => this.stopped.get_or_insert_with(|| Box::pin(sleep(this.grace))),
            Signal::GoOn => return Poll::Pending,
        };
        ready!(stopped.as_mut().poll(cx));
        Poll::Ready(AttemptResult::Stopped(this.grace))
    }
}
