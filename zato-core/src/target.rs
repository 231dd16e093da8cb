//! The targets and callbacks of calls: a service's name, or a typed handle with which the compiler checks the call.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bus::Call;
use crate::{DecodeError, Payload, WriteError};

/// A service that can be invoked with a payload of type `P`: a name (`&str`, `String`) with any `P` that serializes, or a handle
/// (`X::service()`) with the service's `Request`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be invoked with a payload of type `{P}`",
    label = "neither a service's name nor a service's handle",
    note = "a target is a name such as `\"orders.charge\"`, or a handle such as `Charge::service()`"
)]
pub trait Target<'a, P> {
    /// The type of the response, as far as it is known.
    type Reply;

    /// The call, with the payload as it travels or why it cannot be written.
    fn call(self, payload: P) -> Call<'a>;
}

/// A list of targets with their payloads: whatever is iterated over as pairs of the two, or `()` for none, to which
/// `.target(..)` of the builder adds some.
///
/// `M` tells the two apart for the compiler; nobody names it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of targets",
    label = "neither pairs of a target and its payload, nor `()`",
    note = "give pairs, `[(\"orders.price\", 1), (\"orders.price\", 2)]`; or `()` and then `.target(\"orders.price\", 1)`"
)]
pub trait Targets<M> {
    /// The targets: names or handles.
    type Target;
    /// The payload of each target.
    type Payload;

    /// The pairs, in the order in which their outcomes are reported.
    fn pairs(self) -> impl IntoIterator<Item = (Self::Target, Self::Payload)>;
}

/// The type of the responses of all targets of a list, as far as it is known.
pub type ReplyOf<'a, M, L> = <<L as Targets<M>>::Target as Target<'a, <L as Targets<M>>::Payload>>::Reply;

/// The mark of a list of pairs.
#[doc(hidden)]
#[derive(Debug)]
pub enum Listed {}

/// The mark of an empty list, and its targets, of which there are none.
#[doc(hidden)]
#[derive(Debug)]
pub enum Unlisted {}

#[diagnostic::do_not_recommend]
impl<L, T, P> Targets<Listed> for L
where
    L: IntoIterator<Item = (T, P)>,
{
    type Target = T;
    type Payload = P;

    fn pairs(self) -> impl IntoIterator<Item = (T, P)> {
        self
    }
}

impl Targets<Unlisted> for () {
    type Target = Unlisted;
    type Payload = ();

    fn pairs(self) -> impl IntoIterator<Item = (Unlisted, ())> {
        []
    }
}

impl<'a> Target<'a, ()> for Unlisted {
    type Reply = AnyResponse;

    fn call(self, (): ()) -> Call<'a> {
        match self {}
    }
}

/// The reply of a target given by name: any callback may receive it.
#[derive(Debug)]
pub struct AnyResponse;

/// The reply of a target given by its handle.
#[derive(Debug)]
pub struct Response<T>(PhantomData<fn() -> T>);

macro_rules! by_name {
    ($($type:ty: |$name:ident| $text:expr;)*) => {$(
        impl<'a, P: Serialize> Target<'a, P> for $type {
            type Reply = AnyResponse;

            fn call(self, payload: P) -> Call<'a> {
                Call::new(Named::name(self), Payload::write(&payload))
            }
        }

        impl<'a> Named<'a> for $type {
            fn name(self) -> Cow<'a, str> {
                let $name = self;
                $text
            }
        }

        impl<'a, R> Callback<'a, R> for $type {
            fn name(self) -> Cow<'a, str> {
                Named::name(self)
            }
        }

        impl<'a, R> Next<'a, R> for $type {
            type Reply = AnyResponse;
        }
    )*};
}

by_name! {
    &'a str: |name| Cow::Borrowed(name);
    &'a String: |name| Cow::Borrowed(name);
    String: |name| Cow::Owned(name);
    Cow<'a, str>: |name| name;
}

/// A payload for a service that takes `R`: an `R`, a `&R`, or a `&str` for a `String`.
#[diagnostic::on_unimplemented(
    message = "the service takes `{R}`, not `{Self}`",
    label = "called with a payload that is not a `{R}`",
    note = "give a typed call a `{R}` or a `&{R}`; a call by name (`X::NAME`) takes anything that serializes \
            and is checked when it runs"
)]
pub trait RequestOf<R> {
    /// The payload as it travels.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if serde cannot write it.
    fn write(self) -> Result<Payload, WriteError>
    where
        R: Serialize;
}

#[diagnostic::do_not_recommend]
impl<R> RequestOf<R> for R {
    fn write(self) -> Result<Payload, WriteError>
    where
        R: Serialize,
    {
        Payload::write(&self)
    }
}

#[diagnostic::do_not_recommend]
impl<R> RequestOf<R> for &R {
    fn write(self) -> Result<Payload, WriteError>
    where
        R: Serialize,
    {
        Payload::write(self)
    }
}

#[diagnostic::do_not_recommend]
impl RequestOf<String> for &str {
    fn write(self) -> Result<Payload, WriteError> {
        Payload::write(self)
    }
}

/// A callback: a name, or the handle of a service whose `Request` is the target's `Response`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a callback",
    label = "neither a service's name nor a service's handle",
    note = "a callback is a name such as `\"orders.receipt\"`, or a handle such as `Receipt::service()`"
)]
pub trait Callback<'a, R> {
    /// The service's name.
    fn name(self) -> Cow<'a, str>;
}

/// A reply that a callback taking `Request` can read.
#[diagnostic::on_unimplemented(
    message = "a callback that takes `{Request}` cannot receive a `{Self}`",
    label = "this callback's `Request` is not the target's `Response`",
    note = "let the callback's `Request` be the target's `Response`; a callback that takes the text of any \
            response (`type Request = String`) is given by name: `.callback(X::NAME)`"
)]
pub trait IsRequestOf<Request> {}

#[diagnostic::do_not_recommend]
impl<Request> IsRequestOf<Request> for AnyResponse {}

#[diagnostic::do_not_recommend]
impl<Request> IsRequestOf<Request> for Response<Request> {}

/// The next step of a chain: a name, or the handle of a service whose `Request` is the `Response` of the step before.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a step of a chain",
    label = "neither a service's name nor a service's handle",
    note = "a step is a name such as `\"orders.charge\"`, or a handle such as `Charge::service()`"
)]
pub trait Next<'a, R>: Callback<'a, R> {
    /// The type of the step's own response, as far as it is known.
    type Reply;
}

/// A service of any type: a name or a handle.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a service",
    label = "neither a service's name nor a service's handle",
    note = "give a name such as `\"orders.refused\"`, or a handle such as `Refused::service()`"
)]
pub trait Named<'a> {
    /// The service's name.
    fn name(self) -> Cow<'a, str>;
}

/// The conversion of the reply of a synchronous call: the service's `Response` for a handle, the [`Payload`] for a name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read back by a synchronous call",
    label = "the service's `Response` does not implement `serde::Deserialize`",
    note = "derive `serde::Deserialize` for it, or call by name (`X::NAME`), which returns the `Payload`"
)]
pub trait FromReply {
    /// The type that the call returns.
    type Output;

    /// Reads the response.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if it is not what the type says.
    fn read(payload: Payload) -> Result<Self::Output, DecodeError>;
}

#[diagnostic::do_not_recommend]
impl FromReply for AnyResponse {
    type Output = Payload;

    fn read(payload: Payload) -> Result<Payload, DecodeError> {
        Ok(payload)
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> FromReply for Response<T> {
    type Output = T;

    fn read(payload: Payload) -> Result<T, DecodeError> {
        payload.decode()
    }
}
