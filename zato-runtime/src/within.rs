//! An attempt that waits for something, within its limits. It has a seat for as long as that takes, so it is small.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep, sleep_until};

use crate::attempts::Stop;
use crate::dispatch::Running;
use crate::limits::{Limit, Over};
use crate::retry::Brought;

/// Resolves when the attempt has brought something, when its limit comes, or when its grace is over after it was asked to
/// stop.
pub(crate) struct Within {
    running: Running,
    limit: Option<(Pin<Box<Sleep>>, Over)>,
    stop: Arc<Stop>,
    grace: Duration,
    /// Ends with its grace, once it has been asked to stop.
    stopped: Option<Pin<Box<Sleep>>>,
}

impl Within {
    pub(crate) fn new(running: Running, limit: Option<Limit>, stop: Arc<Stop>, grace: Duration) -> Self {
        let limit = limit.map(|Limit { at, brings }| (Box::pin(sleep_until(at)), brings));
        Self { running, limit, stop, grace, stopped: None }
    }

    /// Whether the attempt is asked to stop; else it is woken when it is.
    pub(crate) fn is_asked_or_wakes(&self, cx: &Context<'_>) -> bool {
        self.stop.is_asked_or_wakes(cx)
    }

    /// It has brought something; whoever still waits for it to be asked to stop waits for nothing.
    pub(crate) fn end(self) {
        self.stop.end();
    }
}

impl Future for Within {
    type Output = Brought;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Brought> {
        let this = self.get_mut();
        if let Poll::Ready(brought) = Pin::new(&mut this.running).poll(cx) {
            return Poll::Ready(brought);
        }
        if let Some((sleep, brings)) = &mut this.limit
            && sleep.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Brought::from(*brings));
        }
        let stopped = match &mut this.stopped {
            Some(stopped) => stopped,
            None if this.stop.is_asked_or_wakes(cx) => this.stopped.insert(Box::pin(sleep(this.grace))),
            None => return Poll::Pending,
        };
        ready!(stopped.as_mut().poll(cx));
        Poll::Ready(Brought::Stopped(this.grace))
    }
}
