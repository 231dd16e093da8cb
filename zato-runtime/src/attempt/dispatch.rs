//! Runs one attempt: in its tracing span, and so that a panic ends the attempt and nothing else.

use std::any::Any;
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{self, Poll};

use tracing::Span;
use tracing::field::{self, Empty};
use zato_core::{Attempt, Context};

use super::retry::AttemptResult;
use crate::base::log_target;

/// An attempt under way. It resolves to what it brought, and never panics.
pub(crate) struct RunningAttempt {
    /// None once it has brought something: the handler's future is dropped as soon as it is done.
    attempt: Option<Attempt>,
    span: Span,
}

impl RunningAttempt {
    pub(crate) fn new(context: Context) -> Self {
        let span = span(&context);
        // What it panics with says nothing that the message below does not.
        let attempt = quietly(|| context.run());
        Self { attempt, span }
    }
}

/// The warning of a program in which no panic can be caught. A profile's `panic` holds for every crate of the program, so
/// this crate knows it.
pub(crate) const UNCAUGHT: Option<&str> = if cfg!(panic = "abort") {
    Some(
        "this program is built with `panic = \"abort\"`: a panic in a handler ends the process and all that runs in it, \
         instead of the attempt alone; leave `panic` out of the profile in `Cargo.toml` to have panics caught",
    )
} else {
    None
};

/// Runs code that may be the user's, whatever it does; `None` if it panics. What a panic leaves may itself panic
/// when it is dropped, and what that leaves is given up.
pub(crate) fn quietly<T>(run: impl FnOnce() -> T) -> Option<T> {
    let panic = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => return Some(value),
        Err(panic) => panic,
    };
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(second);
    }
    None
}

/// Every attempt runs in a span that says which it is.
fn span(context: &Context) -> Span {
    let span = tracing::info_span!(target: log_target::DISPATCH,
        "attempt",
        service = context.service(),
        cid = %context.cid(),
        in_reply_to = Empty,
        parent = Empty,
        root = %context.root(),
        attempt = context.attempt(),
    );
    if !span.is_disabled() {
        record(&span, "in_reply_to", context.in_reply_to());
        record(&span, "parent", context.parent());
    }
    span
}

fn record(span: &Span, name: &'static str, value: Option<impl Display>) {
    if let Some(value) = value {
        span.record(name, field::display(value));
    }
}

impl Future for RunningAttempt {
    type Output = AttemptResult;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<AttemptResult> {
        let this = self.get_mut();
        let _entered = this.span.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let Some(attempt) = &mut this.attempt else {
                return Poll::Ready(AttemptResult::Panic("before its first step".to_owned()));
            };
            let reply = task::ready!(attempt.as_mut().poll(cx));
            // The user's values are read and dropped in here: the error, and what the handler still holds.
            let brought = AttemptResult::from(reply);
            this.attempt = None;
            Poll::Ready(brought)
        }));
        polled.unwrap_or_else(|panic| {
            let message = message(&*panic);
            let left = this.attempt.take();
            quietly(|| drop(left));
            quietly(|| drop(panic));
            Poll::Ready(AttemptResult::Panic(message))
        })
    }
}

impl Drop for RunningAttempt {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            let _entered = self.span.enter();
            quietly(|| drop(attempt));
        }
    }
}

impl fmt::Debug for RunningAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningAttempt").field("span", &self.span).finish_non_exhaustive()
    }
}

/// What `panic!` was given.
fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "with a value that is not text".to_owned())
}
