//! Typed handles of services, with which the compiler checks calls.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use crate::bus::Call;
use crate::target::{Callback, IsRequestOf, Named, Next, RequestOf, Response, Target};
use crate::{Registered, Registration, Service};

/// A typed handle of a service. It can be used wherever a name can, and lets the compiler check payloads and callbacks.
///
/// `X::service()` makes one for a service `X`.
pub struct Handle<S> {
    service: PhantomData<fn() -> S>,
}

impl<S: Registered> Handle<S> {
    #[doc(hidden)]
    pub const fn new() -> Self {
        Self { service: PhantomData }
    }

    /// The service's name.
    pub const fn name(self) -> &'static str {
        S::NAME
    }

    /// The service without its type, for lists of services of different types.
    pub const fn erased(self) -> Registration
    where
        S: Service,
    {
        Registration::of::<S>()
    }
}

impl<S: Registered> Default for Handle<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Handle<S> {}

impl<S: Registered> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", S::NAME)
    }
}

impl<'a, S, P> Target<'a, P> for Handle<S>
where
    S: Service,
    P: RequestOf<S::Request>,
    S::Request: Serialize,
{
    type Reply = Response<S::Response>;

    fn call(self, payload: P) -> Call<'a> {
        Call::new(Cow::Borrowed(S::NAME), payload.write())
    }
}

impl<'a, R, S> Callback<'a, R> for Handle<S>
where
    S: Service,
    R: IsRequestOf<S::Request>,
{
    fn name(self) -> Cow<'a, str> {
        Cow::Borrowed(S::NAME)
    }
}

impl<R, S> Next<'_, R> for Handle<S>
where
    S: Service,
    R: IsRequestOf<S::Request>,
{
    type Reply = Response<S::Response>;
}

impl<'a, S: Registered> Named<'a> for Handle<S> {
    fn name(self) -> Cow<'a, str> {
        Cow::Borrowed(S::NAME)
    }
}
