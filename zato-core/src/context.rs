//! The context of a handler: facts about its invocation, and the calls that it can make.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use crate::bus::Bus;
use crate::call::{Invoke, InvokeAsync};
use crate::cancel::Cancel;
use crate::chain::Chain;
use crate::group::{FanOut, Parallel};
use crate::invoke_all::InvokeAll;
use crate::target::{FromReply, ReplyOf, Target, Targets};
use crate::{Channel, Cid, Handler, Handlers, Invocation, Labels, Payload};

/// One attempt of one invocation, as its handler sees it.
///
/// A context lives as long as its attempt: afterwards every call on it is an error, also from a task that the
/// handler spawned. It is cheap to clone.
///
/// ```
/// use std::time::Duration;
/// use zato_core::{Context, Result, service};
///
/// #[service(name = "docs.context.price")]
/// async fn price(_: &Context, article: u64) -> Result<u64> { Ok(article * 100) }
///
/// #[service(name = "docs.context.remind")]
/// async fn remind(ctx: &Context, article: u64) -> Result<()> {
///     println!("{} reminds of {article}, for {:?}", ctx.cid(), ctx.caller());
///     Ok(())
/// }
///
/// #[service(name = "docs.context.order")]
/// async fn order(ctx: &Context, article: u64) -> Result<u64> {
///     println!("attempt {} of {}", ctx.attempt(), ctx.cid());
///     // Inside this attempt: its response is awaited.
///     let cents = ctx.invoke(price::service(), article).await?;
///     // In the background: only its CID is awaited.
///     ctx.invoke_async(remind::service(), article).at(ctx.now() + Duration::from_secs(3_600)).await?;
///     Ok(cents)
/// }
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct Context {
    invocation: Arc<Invocation>,
    attempt: u32,
    /// The number of the service at its desk.
    number: u32,
    handlers: Arc<Handlers>,
    nested: Option<Arc<Nested>>,
}

/// A synchronous call inside an attempt: which attempt, how deep, and whether it has returned.
#[doc(hidden)]
#[derive(Debug)]
pub struct Nested {
    /// The CID of the asynchronous invocation, or of the one from outside, whose attempt all of it runs in.
    pub anchor: Cid,
    /// The number of that attempt.
    pub attempt: u32,
    /// 1 for a call from the attempt's own handler, 2 for a call from within that, and so on.
    pub level: u32,
    /// Set when the call has returned; written by the runtime alone.
    pub over: AtomicBool,
}

impl Context {
    #[doc(hidden)]
    #[inline]
    pub fn new(invocation: Arc<Invocation>, attempt: u32, number: u32, handlers: Arc<Handlers>) -> Self {
        Self { invocation, attempt, number, handlers, nested: None }
    }

    /// The context of a synchronous call inside this attempt.
    #[doc(hidden)]
    #[must_use]
    pub fn nested(
        &self,
        invocation: Arc<Invocation>,
        attempt: u32,
        number: u32,
        nested: Arc<Nested>,
    ) -> Self {
        Self { invocation, attempt, number, handlers: self.handlers.clone(), nested: Some(nested) }
    }

    /// The correlation ID that this invocation runs under: the one that its caller was given.
    pub fn cid(&self) -> Cid {
        self.invocation.cid
    }

    /// For a callback: the CID whose outcome it carries.
    pub fn in_reply_to(&self) -> Option<Cid> {
        self.invocation.in_reply_to()
    }

    /// The CID whose handler made this invocation; none when it came from outside.
    pub fn parent(&self) -> Option<Cid> {
        self.invocation.parent
    }

    /// The first CID of the causal tree; this invocation's own when it came from outside.
    pub fn root(&self) -> Cid {
        self.invocation.root
    }

    /// The name of the service whose handler made this invocation; none when it came from outside.
    pub fn caller(&self) -> Option<&str> {
        self.invocation.caller.as_ref().map(super::service_name::ServiceName::as_str)
    }

    /// The name of the service that runs.
    pub fn service(&self) -> &str {
        &self.invocation.service
    }

    /// The kind of call that made this invocation.
    pub fn channel(&self) -> Channel {
        self.invocation.channel
    }

    /// The request as it came.
    pub fn payload(&self) -> &Payload {
        &self.invocation.payload
    }

    /// The labels of this invocation: those of the invocation whose handler made it, and those that its call attached
    /// with `.label(name, value)`. What this handler invokes inherits them, and so do callbacks.
    pub fn labels(&self) -> &Labels {
        &self.invocation.labels
    }

    /// The number of this run of the handler, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The time by which the invocation must have ended; `None` if it has no deadline.
    pub fn deadline(&self) -> Option<SystemTime> {
        self.invocation.deadline.map(Into::into)
    }

    /// The time of day on the bus's clock. Where a test has paused tokio's clock it is the test's time, so a call
    /// [`at`](InvokeAsync::at) `ctx.now() + delay` is due when the test has advanced its clock by the delay, which a call at
    /// `SystemTime::now() + delay` is not.
    pub fn now(&self) -> SystemTime {
        self.bus().now()
    }

    /// Invokes many services in the background, each as by [`invoke_async`](Self::invoke_async), and returns the
    /// CID of the group. No callback by convention fires.
    ///
    /// # Errors
    ///
    /// Awaiting it returns the errors of [`Parallel`].
    pub fn parallel<'a, M, L: Targets<M>>(&'a self, targets: L) -> Parallel<'a>
    where
        L::Target: Target<'a, L::Payload>,
    {
        Parallel::new(self.bus(), Some(self), targets)
    }

    /// Invokes many services in the background, and a final callback once, when all have ended, with every
    /// outcome. Returns the CID of the group. No callback by convention fires.
    ///
    /// # Errors
    ///
    /// Awaiting it returns the errors of [`FanOut`].
    pub fn fan_out<'a, M, L: Targets<M>>(&'a self, targets: L) -> FanOut<'a>
    where
        L::Target: Target<'a, L::Payload>,
    {
        FanOut::new(self.bus(), Some(self), targets)
    }

    /// Invokes services one after the other in the background, each with the response of the one before, and returns
    /// the CID of the chain.
    ///
    /// # Errors
    ///
    /// Awaiting it returns the errors of [`Chain`].
    pub fn chain<'a, T, P>(&'a self, target: T, payload: P) -> Chain<'a, T::Reply>
    where
        T: Target<'a, P>,
    {
        Chain::new(self.bus(), Some(self), target, payload)
    }

    /// Runs many services at once inside this attempt and returns their responses, in the order given.
    ///
    /// # Errors
    ///
    /// Call by call, when awaited: see [`InvokeAll`].
    pub fn invoke_all<'a, M, L: Targets<M>>(&'a self, targets: L) -> InvokeAll<'a, ReplyOf<'a, M, L>>
    where
        L::Target: Target<'a, L::Payload>,
        ReplyOf<'a, M, L>: FromReply,
    {
        InvokeAll::new(self.bus(), Some(self), targets)
    }

    /// Cancels an invocation: a waiting one ends at once, the handler of a running one has a grace period to return.
    ///
    /// # Errors
    ///
    /// Awaiting it returns the errors of [`Cancel`].
    pub fn cancel(&self, cid: Cid) -> Cancel<'_> {
        Cancel::new(self.bus(), Some(self), cid)
    }

    /// Resolves when this attempt must stop: because its invocation is cancelled, or because a shutdown is
    /// `cancel_grace` (5 seconds by default) away from its limit. The handler then has that long to return; after it
    /// the handler is dropped.
    ///
    /// Resolves at once if the attempt is over. [`shutting_down`](Self::shutting_down) tells a shutdown from a cancel.
    ///
    /// An attempt that returns a retryable error after a shutdown has resolved this does not count: see
    /// [`shutting_down`](Self::shutting_down).
    pub async fn cancelled(&self) {
        self.bus().cancelled(self).await;
    }

    /// Resolves as soon as the runtime begins to shut down, for handlers that want to save their progress early. A
    /// handler need not react: it goes on until [`cancelled`](Self::cancelled) resolves.
    ///
    /// Resolves at once if the attempt is over.
    ///
    /// An attempt for which this has resolved, and which then returns a retryable error, was *interrupted*: it does not
    /// count as one of `max_attempts`. On an engine that keeps what it holds the invocation runs again after the next
    /// start. `memory:` makes one more attempt within the limit of the shutdown, and ends the invocation as `Cancelled`
    /// if that one is interrupted too.
    ///
    /// ```
    /// # use zato_core::{Context, Failure, Result};
    /// # async fn next_page(_: u32) -> Option<u32> { None }
    /// async fn export(ctx: &Context, mut page: u32) -> Result<()> {
    ///     let mut shutting_down = std::pin::pin!(ctx.shutting_down());
    ///     loop {
    ///         // Between two pages: has the shutdown begun?
    ///         let has_begun = std::future::poll_fn(|cx| {
    ///             std::task::Poll::Ready(shutting_down.as_mut().poll(cx).is_ready())
    ///         });
    ///         if has_begun.await {
    ///             return Err(Failure::new(format!("stopped before page {page}")));
    ///         }
    ///         let Some(next) = next_page(page).await else { return Ok(()) };
    ///         page = next;
    ///     }
    /// }
    /// ```
    pub async fn shutting_down(&self) {
        self.bus().shutting_down(self).await;
    }

    /// Invokes a service in the background and returns its CID at once.
    ///
    /// `target` is a name and `payload` anything that serializes, or `target` is a handle (`X::service()`) and
    /// `payload` its `Request`. The response goes to the callbacks that the builder names, else to the one
    /// that this service's name leads to (`<Name>AsyncCallback`), if there is one.
    ///
    /// # Errors
    ///
    /// Awaiting it returns the errors of [`InvokeAsync`].
    pub fn invoke_async<'a, T, P>(&'a self, target: T, payload: P) -> InvokeAsync<'a, T::Reply>
    where
        T: Target<'a, P>,
    {
        InvokeAsync::new(self.bus(), Some(self), target.call(payload))
    }

    /// Runs a service inside this attempt and returns its response: the handle's `Response`, or a [`Payload`]
    /// for a name.
    ///
    /// The call has its own CID in the same tree, and no callbacks.
    ///
    /// # Errors
    ///
    /// Awaiting it returns the errors of [`Invoke`].
    pub fn invoke<'a, T, P>(&'a self, target: T, payload: P) -> Invoke<'a, T::Reply>
    where
        T: Target<'a, P>,
        T::Reply: FromReply,
    {
        Invoke::new(self.bus(), Some(self), target.call(payload))
    }

    #[inline]
    fn bus(&self) -> &dyn Bus {
        self.handlers.bus()
    }

    #[inline]
    pub(crate) fn handler(&self) -> &Handler {
        self.handlers.handler(self.number)
    }

    #[doc(hidden)]
    pub fn invocation(&self) -> &Arc<Invocation> {
        &self.invocation
    }

    /// The attempt that this context runs in: its own, or that of the handler which called synchronously.
    #[doc(hidden)]
    pub fn anchor(&self) -> (Cid, u32) {
        self.nested.as_ref().map_or((self.cid(), self.attempt), |nested| (nested.anchor, nested.attempt))
    }

    /// The number of synchronous calls that this context is nested in.
    #[doc(hidden)]
    pub fn level(&self) -> u32 {
        self.nested.as_ref().map_or(0, |nested| nested.level)
    }

    /// Returns `true` once the synchronous call that this context belongs to has returned.
    #[doc(hidden)]
    pub fn has_returned(&self) -> bool {
        self.nested.as_ref().is_some_and(|nested| nested.over.load(Ordering::Acquire))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("service", &self.service())
            .field("cid", &self.cid())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
