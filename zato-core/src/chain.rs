//! A chain: services one after the other, each with the response of the one before.

use std::marker::PhantomData;

use crate::bus::{Bus, Chosen};
use crate::group::{GroupFuture, Made};
use crate::target::{Callback, Named, Next, Target};
use crate::{CallError, Channel, Cid, Context};

/// Services that run one after the other: add steps with [`then`](Self::then), then `.await` it for the CID of the
/// chain.
///
/// Each step is an invocation of its own and receives the response of the one before it, with its service's settings
/// (attempts, timeout, concurrency). The chain ends as its last step does: as `Completed` with that response, which
/// goes to the callbacks named here, otherwise to the caller's callback by convention. A step that ends in anything but
/// `Completed` ends the chain in the same outcome; the failure report names the step.
///
/// ```
/// use zato_core::{Context, Result, service};
///
/// #[service(name = "docs.chain.price")]
/// async fn price(_: &Context, id: u64) -> Result<u64> { Ok(id * 100) }
///
/// #[service(name = "docs.chain.charge")]
/// async fn charge(_: &Context, cents: u64) -> Result<String> { Ok(format!("charged {cents}")) }
///
/// #[service(name = "docs.chain.order")]
/// async fn order(ctx: &Context, id: u64) -> Result<()> {
///     let chain = ctx.chain(price::service(), id).then(charge::service()).await?;
///     println!("the order runs as {chain}");
///     Ok(())
/// }
/// # fn main() {}
/// ```
///
/// # Errors
///
/// Awaiting it returns the errors of [`InvokeAsync`](crate::InvokeAsync), for any of its steps; no step runs then.
#[must_use = "nothing is invoked until the call is awaited"]
pub struct Chain<'a, R> {
    group: Made<'a>,
    reply: PhantomData<fn() -> R>,
}

impl<'a, R> Chain<'a, R> {
    #[doc(hidden)]
    pub fn new<T, P>(bus: &'a dyn Bus, from: Option<&'a Context>, target: T, payload: P) -> Self
    where
        T: Target<'a, P, Reply = R>,
    {
        let mut group = Made::new(bus, from, Channel::Chain, [(target, payload)]);
        group.call.callbacks = Chosen::Convention;
        group.call.on_failure = Chosen::Convention;
        Self { group, reply: PhantomData }
    }

    /// The next step: a name, or a handle whose `Request` is the `Response` of the step before.
    pub fn then<N: Next<'a, R>>(mut self, next: N) -> Chain<'a, N::Reply> {
        self.group.call.then.push(next.name());
        Chain { group: self.group, reply: PhantomData }
    }

    /// The service that receives the response of the last step. Repeatable; it replaces the callback by convention.
    pub fn callback(mut self, callback: impl Callback<'a, R>) -> Self {
        self.group.call.callbacks.add(callback.name());
        self
    }

    /// Adds a failure callback: it receives a [`FailureReport`](crate::FailureReport) that names the step if the chain ends in
    /// any outcome but `Completed`. Replaces the failure callback by convention.
    pub fn on_failure(mut self, callback: impl Named<'a>) -> Self {
        self.group.call.on_failure.add(callback.name());
        self
    }

    /// No callback by convention, for success and failure alike; those that the call names stay.
    pub fn no_callback(mut self) -> Self {
        self.group.call.callbacks.without_convention();
        self.group.call.on_failure.without_convention();
        self
    }

    /// Attaches a label, by which the chain can be found and grouped later: a name of at most 64 bytes (ASCII letters,
    /// digits, `.`, `_`, `-` and `/`) with a value of at most 256 bytes without control characters.
    ///
    /// Repeatable; the same name again replaces its value. All its steps have it too, beside what they inherit from
    /// the caller: 16 at the most, else the call is an error.
    #[expect(clippy::needless_pass_by_value, reason = "a number is passed as it is, and so is a text")]
    pub fn label(mut self, name: impl AsRef<str>, value: impl ToString) -> Self {
        self.group.call.label(name.as_ref(), value.to_string());
        self
    }
}

impl<'a, R> IntoFuture for Chain<'a, R> {
    type Output = Result<Cid, CallError>;
    type IntoFuture = GroupFuture<'a>;

    fn into_future(self) -> GroupFuture<'a> {
        self.group.into_future()
    }
}
