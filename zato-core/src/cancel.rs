//! Cancelling an invocation.

use std::pin::Pin;
use std::task::{self, Poll};

use crate::bus::{Bus, Step};
use crate::{CallError, Cid, Context, Outcome};

/// The result of a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancellation {
    /// The invocation had ended before, in this outcome. Nothing was changed.
    Ended(Outcome),
    /// The invocation was waiting, and has ended as `Cancelled`.
    Cancelled,
    /// The invocation is running. Its handler can see that ([`Context::cancelled`]) and has a grace period to return: `Ok`
    /// becomes `Completed`, `Err` becomes `Cancelled`, and after the grace period the handler is dropped. There is no
    /// further attempt. If a worker was about to start the handler, the invocation ends without having run: as `Cancelled`,
    /// or as `Expired` or `TimedOut` if its time was up. A group ends when its members have ended, which are all cancelled.
    Requested,
}

/// The cancellation of an invocation: add options, then `.await` it.
///
/// Awaiting it returns when the engine has recorded the cancellation.
///
/// # Errors
///
/// [`CallError::NotHeld`] if the engine does not hold the invocation, [`CallError::Over`] if the context that
/// asks is over.
#[must_use = "nothing is cancelled until this is awaited"]
pub struct Cancel<'a> {
    bus: &'a dyn Bus,
    from: Option<&'a Context>,
    cid: Cid,
    with_tree: bool,
}

impl<'a> Cancel<'a> {
    #[doc(hidden)]
    pub fn new(bus: &'a dyn Bus, from: Option<&'a Context>, cid: Cid) -> Self {
        Self { bus, from, cid, with_tree: false }
    }

    /// Cancels the whole tree below it too: everything that its handler, and the handlers and callbacks below,
    /// have invoked, except what started a tree of its own.
    pub fn with_tree(self) -> Self {
        Self { with_tree: true, ..self }
    }
}

impl<'a> IntoFuture for Cancel<'a> {
    type Output = Result<Cancellation, CallError>;
    type IntoFuture = CancelFuture<'a>;

    fn into_future(self) -> CancelFuture<'a> {
        CancelFuture { asked: Some(self), answer: None }
    }
}

/// The future of a [`Cancel`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct CancelFuture<'a> {
    asked: Option<Cancel<'a>>,
    answer: Option<Step<'a, Result<Cancellation, CallError>>>,
}

impl Future for CancelFuture<'_> {
    type Output = Result<Cancellation, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(asked) = this.asked.take() {
            this.answer = Some(asked.bus.cancel(asked.from, asked.cid, asked.with_tree));
        }
        this.answer.as_mut().map_or(Poll::Pending, |answer| Pin::new(answer).poll(cx))
    }
}
