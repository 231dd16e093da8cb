//! Many synchronous calls at once.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll};

use crate::bus::{Bus, Call, Step};
use crate::target::{AnyResponse, FromReply, Target, Targets};
use crate::{CallError, Context, Payload};

/// Synchronous calls of many services at once: `.await` it for all their responses, in the order given.
///
/// Each has its own result: one that fails keeps nothing from the others.
///
/// ```
/// use zato_core::{Context, Result, service};
///
/// #[service(name = "docs.invoke-all.rate")]
/// async fn rate(_: &Context, currency: String) -> Result<f64> { Ok(currency.len() as f64) }
///
/// #[service(name = "docs.invoke-all.stock")]
/// async fn stock(_: &Context, article: u64) -> Result<u32> { Ok(7) }
///
/// #[service(name = "docs.invoke-all.offer")]
/// async fn offer(ctx: &Context, article: u64) -> Result<f64> {
///     // Targets of one type: responses of one type.
///     let rates = ctx.invoke_all([(rate::service(), "EUR"), (rate::service(), "USD")]).await;
///     let sum: f64 = rates.into_iter().filter_map(|rate| rate.ok()).sum();
///     // Targets of different types: payloads.
///     let mut both = ctx.invoke_all(()).target(stock::service(), article).target("docs.invoke-all.rate", "CHF").await;
///     let rate: f64 = both.remove(1)?.decode()?;
///     let stock: u32 = both.remove(0)?.decode()?;
///     Ok(sum + rate * f64::from(stock))
/// }
/// # fn main() {}
/// ```
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
    pub fn new<M, L: Targets<M>>(bus: &'a dyn Bus, from: Option<&'a Context>, targets: L) -> Self
    where
        L::Target: Target<'a, L::Payload, Reply = R>,
    {
        let calls = targets.pairs().into_iter().map(|(target, payload)| target.call(payload)).collect();
        Self { bus, from, calls, reply: PhantomData }
    }

    /// Adds one more target: a name with any payload that serializes, or a handle with its `Request`. Targets that are added
    /// one by one may be of different types, so all responses are [`Payload`]s then: [`Payload::decode`] reads them.
    pub fn target<T: Target<'a, P>, P>(self, target: T, payload: P) -> InvokeAll<'a, AnyResponse> {
        let Self { bus, from, mut calls, .. } = self;
        calls.push(target.call(payload));
        InvokeAll { bus, from, calls, reply: PhantomData }
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
