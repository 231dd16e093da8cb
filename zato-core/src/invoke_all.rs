//! Many synchronous calls at once.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll};

use crate::bus::{Bus, Call, Step};
use crate::target::{FromReply, Target};
use crate::{CallError, Context, Payload};

/// Synchronous calls of many services at once: `.await` it for all their responses, in the order given.
///
/// Each has its own result: one that fails keeps nothing from the others.
///
/// # Errors
///
/// Call by call, as for [`Invoke`](crate::Invoke).
#[must_use = "nothing is invoked until the calls are awaited"]
pub struct InvokeAll<'a, R> {
    bus: &'a dyn Bus,
    from: Option<&'a Context>,
    calls: Vec<Call<'a>>,
    reply: PhantomData<fn() -> R>,
}

impl<'a, R> InvokeAll<'a, R> {
    #[doc(hidden)]
    pub fn new<T, P>(
        bus: &'a dyn Bus,
        from: Option<&'a Context>,
        targets: impl IntoIterator<Item = (T, P)>,
    ) -> Self
    where
        T: Target<'a, P, Reply = R>,
    {
        let calls = targets.into_iter().map(|(target, payload)| target.call(payload)).collect();
        Self { bus, from, calls, reply: PhantomData }
    }
}

impl<'a, R: FromReply> IntoFuture for InvokeAll<'a, R> {
    type Output = Vec<Result<R::Output, CallError>>;
    type IntoFuture = InvokeAllFuture<'a, R>;

    fn into_future(self) -> InvokeAllFuture<'a, R> {
        let services = self.calls.iter().map(|call| call.target.to_string()).collect();
        InvokeAllFuture { asked: Some(self), answer: None, services }
    }
}

/// The future of an [`InvokeAll`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct InvokeAllFuture<'a, R> {
    asked: Option<InvokeAll<'a, R>>,
    answer: Option<Step<'a, Vec<Result<Payload, CallError>>>>,
    services: Vec<String>,
}

impl<R: FromReply> Future for InvokeAllFuture<'_, R> {
    type Output = Vec<Result<R::Output, CallError>>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(asked) = this.asked.take() {
            this.answer = Some(asked.bus.invoke_all(asked.from, asked.calls));
        }
        let Some(answer) = &mut this.answer else { return Poll::Pending };
        Pin::new(answer).poll(cx).map(|answers| {
            let services = std::mem::take(&mut this.services);
            let read = |(answer, service): (Result<Payload, CallError>, String)| {
                R::read(answer?).map_err(|source| CallError::Unreadable { service, source })
            };
            answers.into_iter().zip(services).map(read).collect()
        })
    }
}
