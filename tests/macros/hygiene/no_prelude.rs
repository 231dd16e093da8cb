//! Services in a crate without a prelude, under the strictest lints.

#![no_implicit_prelude]
#![forbid(unsafe_code)]
#![deny(warnings, clippy::all, clippy::pedantic, missing_docs)]
#![allow(unreachable_pub, reason = "the items are public for what that asks of the generated code")]

/// A unit.
#[::zato_core::service(name = "hygiene.unit", timeout = "3s", rate = "1/s", backoff = "1s..2s", priority = -1)]
pub struct Unit;

impl ::zato_core::Service for Unit {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &::zato_core::Context, (): ()) -> ::zato_core::Result<()> {
        ::core::result::Result::Ok(())
    }
}

/// Its callback, named after it.
#[::zato_core::service]
pub struct UnitAsyncCallback;

impl ::zato_core::Service for UnitAsyncCallback {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &::zato_core::Context, (): ()) -> ::zato_core::Result<()> {
        ::core::result::Result::Ok(())
    }
}

/// Its failure callback, paired although it is named.
#[::zato_core::service(name = "hygiene.failure")]
pub struct UnitAsyncFailure(::std::string::String);

impl ::zato_core::Service for UnitAsyncFailure {
    type Request = ();
    type Response = ::std::string::String;

    async fn handle(
        &self,
        _ctx: &::zato_core::Context,
        (): (),
    ) -> ::zato_core::Result<::std::string::String> {
        ::core::result::Result::Ok(::core::clone::Clone::clone(&self.0))
    }
}

/// With resources.
#[::zato_core::service(name = "hygiene.braced", formerly = ["hygiene.a", "hygiene.b"], callback = Unit)]
pub struct Braced {
    text: ::std::string::String,
}

impl ::zato_core::Service for Braced {
    type Request = ::std::string::String;
    type Response = ::std::string::String;

    async fn handle(
        &self,
        _ctx: &::zato_core::Context,
        _request: ::std::string::String,
    ) -> ::zato_core::Result<::std::string::String> {
        ::core::result::Result::Ok(::core::clone::Clone::clone(&self.text))
    }
}

/// A function with resources.
///
/// # Errors
///
/// Never.
#[::zato_core::service(name = "hygiene.price")]
pub async fn price(
    _ctx: &::zato_core::Context,
    request: ::std::string::String,
    text: &::std::string::String,
    number: u64,
    small: &u8,
    list: &::std::vec::Vec<u8>,
) -> ::zato_core::Result<(::std::string::String, u64)> {
    let _ = (text, small, list);
    ::core::result::Result::Ok((request, number))
}

/// Its callback.
///
/// # Errors
///
/// Never.
#[::zato_core::service]
pub async fn price_async_callback(_: &::zato_core::Context) -> ::zato_core::Result<()> {
    ::core::result::Result::Ok(())
}

/// A module.
pub mod module {
    /// A service with a derived name.
    #[::zato_core::service]
    #[derive(::core::clone::Clone)]
    pub struct Inner;

    impl ::zato_core::Service for Inner {
        type Request = ();
        type Response = ();

        async fn handle(&self, _ctx: &::zato_core::Context, (): ()) -> ::zato_core::Result<()> {
            ::core::result::Result::Ok(())
        }
    }
}

#[allow(dead_code, reason = "a main only where this file is a crate of its own")]
fn main() {
    #[::zato_core::service(name = "hygiene.in-function", callback = LocalAsyncCallback)]
    struct Local;

    impl ::zato_core::Service for Local {
        type Request = ();
        type Response = ();

        async fn handle(&self, _ctx: &::zato_core::Context, (): ()) -> ::zato_core::Result<()> {
            ::core::result::Result::Ok(())
        }
    }

    #[::zato_core::service(name = "hygiene.in-function.callback")]
    struct LocalAsyncCallback;

    impl ::zato_core::Service for LocalAsyncCallback {
        type Request = ();
        type Response = ();

        async fn handle(&self, _ctx: &::zato_core::Context, (): ()) -> ::zato_core::Result<()> {
            ::core::result::Result::Ok(())
        }
    }

    ::core::assert_eq!(UnitAsyncCallback::NAME, "hygiene.unit-async-callback");
    ::core::assert_eq!(price_async_callback::NAME, "hygiene.price-async-callback");
    let failure = UnitAsyncFailure::service().erased();
    ::core::assert!(::core::matches!(failure.failure_of(), ::core::option::Option::Some("hygiene.unit")));
    ::core::assert_eq!(Local::service().name(), Local::NAME);
    ::core::assert_eq!(Braced::service().name(), Braced::NAME);
    ::core::assert_eq!(module::Inner::service().name(), module::Inner::NAME);
}
