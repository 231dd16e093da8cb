//! Many targets at once: each outcome to one callback, and all of them together to another.

use std::pin::Pin;
use std::task::{self, Poll};

use crate::bus::{Bus, Call, GroupCall, Step};
use crate::target::{Named, Target, Targets};
use crate::{CallError, Channel, Cid, Context};

/// Asynchronous calls of many targets, which end by themselves: add where the outcomes go, then `.await` it for
/// the CID of the group.
///
/// The bus accepts all targets, or none of them. The group's own outcome is `Completed` when the last of them has
/// ended, in whatever outcome; it carries a [`Row`](crate::Row) for each, in the order given.
///
/// ```
/// use zato_core::{Context, Result, service};
///
/// #[service(name = "docs.parallel.mail")]
/// async fn mail(_: &Context, address: String) -> Result<()> { Ok(()) }
///
/// #[service(name = "docs.parallel.bill")]
/// async fn bill(_: &Context, cents: u64) -> Result<String> { Ok(format!("bill over {cents}")) }
///
/// /// Receives each outcome by itself.
/// #[service(name = "docs.parallel.log")]
/// async fn log(ctx: &Context, outcome: String) -> Result<()> {
///     println!("{:?}: {outcome}", ctx.in_reply_to());
///     Ok(())
/// }
///
/// #[service(name = "docs.parallel.order")]
/// async fn order(ctx: &Context, addresses: Vec<String>) -> Result<()> {
///     // Targets of one type are a list of pairs; others are added one by one.
///     let all = addresses.into_iter().map(|address| (mail::service(), address));
///     let group = ctx.parallel(all).target(bill::service(), 4_200).on_target(log::service()).await?;
///     println!("they run as {group}");
///     Ok(())
/// }
/// # fn main() {}
/// ```
///
/// # Errors
///
/// Awaiting it returns the errors of [`InvokeAsync`](crate::InvokeAsync), for any of the targets; no target runs then.
#[must_use = "nothing is invoked until the call is awaited"]
pub struct Parallel<'a> {
    group: Made<'a>,
}

/// Asynchronous calls of many targets, whose outcomes come together at the end: add where they go, then `.await`
/// it for the CID of the group.
///
/// The final callback is invoked once, when all targets have ended, with a list of a [`Row`](crate::Row) for each, in the
/// order given. A target that fails is a row with `ok: false`. No target at all is an empty list. Responses after the
/// first 8 MiB are left out of their rows, and can be read by CID.
///
/// ```
/// use zato_core::{Context, Result, Row, service};
///
/// #[service(name = "docs.fan-out.post")]
/// async fn post(_: &Context, kilograms: u32) -> Result<u32> { Ok(500 * kilograms) }
///
/// #[service(name = "docs.fan-out.courier")]
/// async fn courier(_: &Context, town: String) -> Result<u32> { Ok(town.len() as u32 * 100) }
///
/// #[service(name = "docs.fan-out.cheapest")]
/// async fn cheapest(_: &Context, quotes: Vec<Row<u32>>) -> Result<String> {
///     let best = quotes.iter().filter(|quote| quote.ok).min_by_key(|quote| quote.response);
///     Ok(best.map_or("none".to_owned(), |quote| quote.service.clone()))
/// }
///
/// #[service(name = "docs.fan-out.ship")]
/// async fn ship(ctx: &Context, town: String) -> Result<()> {
///     // Targets of different types are added one by one, to none.
///     ctx.fan_out(())
///         .target(post::service(), 3)
///         .target(courier::service(), town)
///         .on_final(cheapest::service())
///         .await?;
///     // Targets of one type are a list of pairs.
///     ctx.fan_out([(post::service(), 1), (post::service(), 2)]).on_final(cheapest::service()).await?;
///     Ok(())
/// }
/// # fn main() {}
/// ```
///
/// # Errors
///
/// Awaiting it returns the errors of [`InvokeAsync`](crate::InvokeAsync), for any of the targets; no target runs then.
#[must_use = "nothing is invoked until the call is awaited"]
pub struct FanOut<'a> {
    group: Made<'a>,
}

/// A group and who makes it.
pub(crate) struct Made<'a> {
    bus: &'a dyn Bus,
    from: Option<&'a Context>,
    pub(crate) call: GroupCall<'a>,
}

impl<'a> Made<'a> {
    pub(crate) fn new<T: Target<'a, P>, P>(
        bus: &'a dyn Bus,
        from: Option<&'a Context>,
        channel: Channel,
        targets: impl IntoIterator<Item = (T, P)>,
    ) -> Self {
        let calls: Vec<Call<'a>> =
            targets.into_iter().map(|(target, payload)| target.call(payload)).collect();
        Self { bus, from, call: GroupCall::new(channel, calls) }
    }

    /// Adds one more target, of any type.
    fn add<T: Target<'a, P>, P>(&mut self, target: T, payload: P) {
        self.call.calls.push(target.call(payload));
    }

    pub(crate) fn into_future(self) -> GroupFuture<'a> {
        GroupFuture { made: Some(self), answer: None }
    }
}

impl<'a> Parallel<'a> {
    #[doc(hidden)]
    pub fn new<M, L: Targets<M>>(bus: &'a dyn Bus, from: Option<&'a Context>, targets: L) -> Self
    where
        L::Target: Target<'a, L::Payload>,
    {
        Self { group: Made::new(bus, from, Channel::Parallel, targets.pairs()) }
    }

    /// Adds one more target: a name with any payload that serializes, or a handle with its `Request`. Targets that are added
    /// one by one may be of different types.
    pub fn target<T: Target<'a, P>, P>(mut self, target: T, payload: P) -> Self {
        self.group.add(target, payload);
        self
    }

    /// The service that receives each outcome: the response of a target that completed, the
    /// [`FailureReport`](crate::FailureReport) of one that did not. Repeatable.
    pub fn on_target(mut self, callback: impl Named<'a>) -> Self {
        self.group.call.on_target.push(callback.name());
        self
    }

    /// Attaches a label, by which the group can be found and grouped later: a name of at most 64 bytes (ASCII letters,
    /// digits, `.`, `_`, `-` and `/`) with a value of at most 256 bytes without control characters.
    ///
    /// Repeatable; the same name again replaces its value. All members have it too, beside what they inherit from the
    /// caller: 16 at the most, else the call is an error.
    #[expect(clippy::needless_pass_by_value, reason = "a number is passed as it is, and so is a text")]
    pub fn label(mut self, name: impl AsRef<str>, value: impl ToString) -> Self {
        self.group.call.label(name.as_ref(), value.to_string());
        self
    }
}

impl<'a> FanOut<'a> {
    #[doc(hidden)]
    pub fn new<M, L: Targets<M>>(bus: &'a dyn Bus, from: Option<&'a Context>, targets: L) -> Self
    where
        L::Target: Target<'a, L::Payload>,
    {
        Self { group: Made::new(bus, from, Channel::FanOut, targets.pairs()) }
    }

    /// Adds one more target: a name with any payload that serializes, or a handle with its `Request`. Targets that are added
    /// one by one may be of different types.
    pub fn target<T: Target<'a, P>, P>(mut self, target: T, payload: P) -> Self {
        self.group.add(target, payload);
        self
    }

    /// The service that receives each outcome, as it comes: the response of a target that completed, the
    /// [`FailureReport`](crate::FailureReport) of one that did not. Repeatable.
    pub fn on_target(mut self, callback: impl Named<'a>) -> Self {
        self.group.call.on_target.push(callback.name());
        self
    }

    /// The service that receives all outcomes, once, when the last target has ended: a `Vec` of [`Row`](crate::Row)s.
    /// Repeatable.
    pub fn on_final(mut self, callback: impl Named<'a>) -> Self {
        self.group.call.callbacks.add(callback.name());
        self
    }

    /// Attaches a label, by which the group can be found and grouped later: a name of at most 64 bytes (ASCII letters,
    /// digits, `.`, `_`, `-` and `/`) with a value of at most 256 bytes without control characters.
    ///
    /// Repeatable; the same name again replaces its value. All members have it too, beside what they inherit from the
    /// caller: 16 at the most, else the call is an error.
    #[expect(clippy::needless_pass_by_value, reason = "a number is passed as it is, and so is a text")]
    pub fn label(mut self, name: impl AsRef<str>, value: impl ToString) -> Self {
        self.group.call.label(name.as_ref(), value.to_string());
        self
    }
}

impl<'a> IntoFuture for Parallel<'a> {
    type Output = Result<Cid, CallError>;
    type IntoFuture = GroupFuture<'a>;

    fn into_future(self) -> GroupFuture<'a> {
        self.group.into_future()
    }
}

impl<'a> IntoFuture for FanOut<'a> {
    type Output = Result<Cid, CallError>;
    type IntoFuture = GroupFuture<'a>;

    fn into_future(self) -> GroupFuture<'a> {
        self.group.into_future()
    }
}

/// The future of a [`Parallel`], a [`FanOut`] or a [`Chain`](crate::Chain).
#[must_use = "futures do nothing unless they are awaited"]
pub struct GroupFuture<'a> {
    made: Option<Made<'a>>,
    answer: Option<Step<'a, Result<Cid, CallError>>>,
}

impl Future for GroupFuture<'_> {
    type Output = Result<Cid, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(made) = this.made.take() {
            this.answer = Some(made.bus.group(made.from, made.call));
        }
        this.answer.as_mut().map_or(Poll::Pending, |answer| Pin::new(answer).poll(cx))
    }
}
