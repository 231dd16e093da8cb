//! Calls as they are written: builders that are awaited.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::SystemTime;

use crate::bus::{Bus, Call, Step};
use crate::into_duration;
use crate::options;
use crate::target::{Callback, FromReply, Named};
use crate::{
    CallError, Cid, Context, DurationError, IntoBackoff, IntoDuration, OptionError, Options, Payload, When,
};

/// An asynchronous call: add options, then `.await` it for its CID.
///
/// Awaiting it makes the call, and returns a receipt: the target runs in the background,
/// under the CID that was returned, and the call waits neither for its response nor for its failure.
///
/// ```
/// use std::time::Duration;
/// use zato_core::{Context, FailureReport, Result, service};
///
/// #[service(name = "docs.invoke-async.charge", max_attempts = 3)]
/// async fn charge(_: &Context, cents: u64) -> Result<String> { Ok(format!("receipt over {cents}")) }
///
/// #[service(name = "docs.invoke-async.file")]
/// async fn file(_: &Context, receipt: String) -> Result<()> { Ok(()) }
///
/// #[service(name = "docs.invoke-async.apologise")]
/// async fn apologise(_: &Context, report: FailureReport) -> Result<()> {
///     println!("{} failed: {}", report.cid, report.error);
///     Ok(())
/// }
///
/// #[service(name = "docs.invoke-async.order")]
/// async fn order(ctx: &Context, cents: u64) -> Result<()> {
///     let cid = ctx
///         .invoke_async(charge::service(), cents)
///         .callback(file::service()) // receives the response
///         .on_failure(apologise::service()) // receives a report if there is none
///         .delay(Duration::from_secs(5))
///         .idempotency_key("order-7")
///         .await?;
///     println!("the charge runs as {cid}");
///     // By name, with anything that serializes.
///     ctx.invoke_async("zato.helpers.input-logger", "charging").no_callback().await?;
///     Ok(())
/// }
/// # fn main() {}
/// ```
///
/// # Errors
///
/// [`CallError`] if the target or a callback is unknown, if the payload cannot be written or is too large, if
/// the tree is too deep, if the context is over, if the engine is full (calls from handlers only; others wait
/// for room), or if the runtime is shutting down. Nothing was accepted then, and no CID exists.
#[must_use = "nothing is invoked until the call is awaited"]
pub struct InvokeAsync<'a, R> {
    made: Made<'a>,
    reply: PhantomData<fn() -> R>,
}

/// A synchronous call: `.await` it for the response.
///
/// # Errors
///
/// [`CallError::Ended`] if the target ended in anything but `Completed`, [`CallError::Unreadable`] if its
/// response is not what the handle's type says; else as for [`InvokeAsync`].
#[must_use = "nothing is invoked until the call is awaited"]
pub struct Invoke<'a, R> {
    made: Made<'a>,
    reply: PhantomData<fn() -> R>,
}

/// A call and who makes it.
struct Made<'a> {
    bus: &'a dyn Bus,
    from: Option<&'a Context>,
    call: Call<'a>,
}

impl Made<'_> {
    fn max_attempts(&mut self, attempts: u32) {
        let attempts = if attempts == 0 { Err(OptionError::NoAttempt) } else { Ok(attempts) };
        self.call.set(attempts, |options, attempts| options.max_attempts = Some(attempts));
    }

    fn backoff(&mut self, backoff: impl IntoBackoff) {
        self.wait("backoff", backoff.into_backoff(), |options, backoff| options.backoff = Some(backoff));
    }

    /// Sets an option that takes a duration or a backoff, or notes that its value cannot be used.
    fn wait<T>(
        &mut self,
        option: &'static str,
        value: Result<T, DurationError>,
        set: impl FnOnce(&mut Options, T),
    ) {
        self.call.set(value.map_err(|error| OptionError::Duration { option, error }), set);
    }
}

impl<'a, R> InvokeAsync<'a, R> {
    #[doc(hidden)]
    pub fn new(bus: &'a dyn Bus, from: Option<&'a Context>, call: Call<'a>) -> Self {
        Self { made: Made { bus, from, call }, reply: PhantomData }
    }

    /// The service that receives the response: a name, or a handle whose `Request` is the target's `Response`.
    ///
    /// Repeatable: each gets the response in an invocation of its own. It replaces the callback by convention;
    /// failures still go where they went.
    pub fn callback(mut self, callback: impl Callback<'a, R>) -> Self {
        self.made.call.callbacks.add(callback.name());
        self
    }

    /// Adds a failure callback: it receives a [`FailureReport`](crate::FailureReport), as JSON, if the invocation ends in any
    /// outcome but `Completed`.
    ///
    /// Replaces the failure callback by convention, and does not change the callbacks of responses.
    pub fn on_failure(mut self, callback: impl Named<'a>) -> Self {
        self.made.call.on_failure.add(callback.name());
        self
    }

    /// No callback by convention, for success and failure alike; those that the call names stay.
    pub fn no_callback(mut self) -> Self {
        self.made.call.callbacks.without_convention();
        self.made.call.on_failure.without_convention();
        self
    }

    /// The least time from now to the start: `"5s"`, or a `Duration`; see [`IntoDuration`].
    pub fn delay(mut self, delay: impl IntoDuration) -> Self {
        self.made.wait("delay", delay.into_duration(), |options, delay| options.due = Some(When::In(delay)));
        self
    }

    /// Starts no earlier than at this time of day.
    pub fn at(mut self, at: SystemTime) -> Self {
        self.made.call.options().due = Some(When::At(at));
        self
    }

    /// The time after the call within which it must have started, else it ends as `Expired`: `"5s"`, or a `Duration`. An
    /// invocation that has started is left alone.
    pub fn expires_in(mut self, limit: impl IntoDuration) -> Self {
        let limit = limit.into_duration();
        self.made.wait("expires_in", limit, |options, limit| options.expires = Some(When::In(limit)));
        self
    }

    /// The limit of one attempt, which overrides the service's: `"30s"`, or a `Duration`, above zero. An attempt that takes
    /// longer is over; if it was the last, the outcome is `TimedOut`.
    pub fn timeout(mut self, limit: impl IntoDuration) -> Self {
        let limit = limit.into_duration().and_then(into_duration::timeout);
        self.made.wait("timeout", limit, |options, limit| options.timeout = Some(limit));
        self
    }

    /// Sets the time by which the invocation must have ended, with all attempts and waits; otherwise it ends as `TimedOut`.
    /// Calls of its handler inherit the deadline; callbacks do not. An earlier deadline of the caller overrides this one.
    pub fn deadline(mut self, at: SystemTime) -> Self {
        self.made.call.options().deadline = Some(at);
        self
    }

    /// Sets how many attempts may fail before the outcome is `Failed`: at least 1. Overrides the service's setting.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.made.max_attempts(attempts);
        self
    }

    /// The wait before another attempt, which overrides the service's: `"5s"`, `"1s..2m"`, a `Duration` or a
    /// [`Backoff`](crate::Backoff); see [`IntoBackoff`].
    pub fn backoff(mut self, backoff: impl IntoBackoff) -> Self {
        self.made.backoff(backoff);
        self
    }

    /// Sets the priority among the waiting invocations of the target: higher ones start first. Overrides the service's
    /// setting; 0 by default.
    pub fn priority(mut self, priority: i8) -> Self {
        self.made.call.options().priority = Some(priority);
        self
    }

    /// Sets an idempotency key: a later call of the same service with the same key, within the key's retention (a day by
    /// default), returns the CID of the first call, also if that has failed, and runs nothing.
    ///
    /// A key has at most 1,024 bytes. Another payload or other callbacks under the same key are a conflict:
    /// [`CallError::KeyConflict`]. JSON is compared as a document: members in any order, numbers as they are written. A
    /// `HashMap` is the same document each time; a `HashSet` is a list in another order each time: use a `BTreeSet`.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        let key = options::key("idempotency key", key.into());
        self.made.call.set(key, |options, key| options.idempotency_key = Some(key));
        self
    }

    /// Runs beside no other invocation of the target with this key: they run one at a time, in the order in which
    /// they were accepted, whatever their priorities and delays. The first keeps its place through its attempts.
    pub fn concurrency_key(mut self, key: impl Into<String>) -> Self {
        let key = options::key("concurrency key", key.into());
        self.made.call.set(key, |options, key| options.concurrency_key = Some(key));
        self
    }

    /// Sets how often the process may die during the invocation before it ends as `Lost`: at least 1, which never runs it
    /// again after a crash. Overrides the service's setting; 3 by default.
    pub fn max_losses(mut self, losses: u32) -> Self {
        let losses = if losses == 0 { Err(OptionError::NoLoss) } else { Ok(losses) };
        self.made.call.set(losses, |options, losses| options.max_losses = Some(losses));
        self
    }

    /// Attaches a label, by which the invocation can be found and grouped later: a name of at most 64 bytes (ASCII letters,
    /// digits, `.`, `_`, `-` and `/`) with a value of at most 256 bytes without control characters.
    ///
    /// Repeatable; the same name again replaces its value. All that the invocation makes inherits its labels, callbacks
    /// included, so a child has those of its caller and its own: 16 at the most, else the call is an error.
    #[expect(clippy::needless_pass_by_value, reason = "a number is passed as it is, and so is a text")]
    pub fn label(mut self, name: impl AsRef<str>, value: impl ToString) -> Self {
        self.made.call.label(name.as_ref(), value.to_string());
        self
    }

    /// Runs under this CID instead of a new one; [`CallError::CidTaken`] if the engine holds it already.
    pub fn cid(mut self, cid: Cid) -> Self {
        self.made.call.admission().cid = Some(cid);
        self
    }

    /// Starts a causal tree of its own, with a depth of its own, and without the caller's deadline and labels: attach again
    /// with [`label`](Self::label) what the new tree is to keep.
    pub fn new_root(mut self) -> Self {
        self.made.call.admission().new_root = true;
        self
    }
}

impl<'a, R> Invoke<'a, R> {
    #[doc(hidden)]
    pub fn new(bus: &'a dyn Bus, from: Option<&'a Context>, call: Call<'a>) -> Self {
        Self { made: Made { bus, from, call }, reply: PhantomData }
    }

    /// Sets how many attempts may fail before the call returns an error; the call returns at the first success.
    /// At least 1. The default is 1, whatever the service's attribute says.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.made.max_attempts(attempts);
        self
    }

    /// The wait before another attempt, which overrides the service's: `"5s"`, `"1s..2m"`, a `Duration` or a
    /// [`Backoff`](crate::Backoff); see [`IntoBackoff`].
    pub fn backoff(mut self, backoff: impl IntoBackoff) -> Self {
        self.made.backoff(backoff);
        self
    }
}

impl<'a, R> IntoFuture for InvokeAsync<'a, R> {
    type Output = Result<Cid, CallError>;
    type IntoFuture = InvokeAsyncFuture<'a>;

    fn into_future(self) -> InvokeAsyncFuture<'a> {
        InvokeAsyncFuture { step: Lazy::Unmade(Some(self.made)) }
    }
}

impl<'a, R: FromReply> IntoFuture for Invoke<'a, R> {
    type Output = Result<R::Output, CallError>;
    type IntoFuture = InvokeFuture<'a, R>;

    fn into_future(self) -> InvokeFuture<'a, R> {
        let service = self.made.call.target.clone().into_owned();
        InvokeFuture { step: Lazy::Unmade(Some(self.made)), service, reply: PhantomData }
    }
}

/// The future of an [`InvokeAsync`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct InvokeAsyncFuture<'a> {
    step: Lazy<'a, Cid>,
}

/// The future of an [`Invoke`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct InvokeFuture<'a, R> {
    step: Lazy<'a, Payload>,
    service: String,
    reply: PhantomData<fn() -> R>,
}

/// A call that goes into the bus when it is first polled.
enum Lazy<'a, T> {
    Unmade(Option<Made<'a>>),
    Made(Step<'a, Result<T, CallError>>),
}

impl<'a, T> Lazy<'a, T> {
    fn poll(
        &mut self,
        cx: &mut task::Context<'_>,
        enter: impl FnOnce(Made<'a>) -> Step<'a, Result<T, CallError>>,
    ) -> Poll<Result<T, CallError>>
    where
        T: Unpin,
    {
        if let Self::Unmade(made) = self {
            let Some(made) = made.take() else { return Poll::Pending };
            match enter(made) {
                // Nearly always: it is not kept to be taken at once.
                Step::Now(Some(answer)) => return Poll::Ready(answer),
                step => *self = Self::Made(step),
            }
        }
        match self {
            Self::Made(step) => Pin::new(step).poll(cx),
            Self::Unmade(_) => Poll::Pending,
        }
    }
}

impl Future for InvokeAsyncFuture<'_> {
    type Output = Result<Cid, CallError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.get_mut().step.poll(cx, |made| made.bus.accept(made.from, made.call))
    }
}

impl<R: FromReply> Future for InvokeFuture<'_, R> {
    type Output = Result<R::Output, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.step.poll(cx, |made| made.bus.invoke(made.from, made.call)).map(|response| {
            R::read(response?).map_err(|source| CallError::Unreadable {
                service: std::mem::take(&mut this.service),
                source,
            })
        })
    }
}
