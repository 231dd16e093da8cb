//! Names: written out, derived, and computed at compile time.

use zato_core::{Context, Result, Service, service};

macro_rules! services {
    ($($(#[$attribute:meta])* $ident:ident)*) => {$(
        $(#[$attribute])*
        pub(crate) struct $ident;

        impl Service for $ident {
            type Request = ();
            type Response = ();

            async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
                Ok(())
            }
        }
    )*};
}
pub(crate) use services;

mod my_module {
    use super::*;

    services! {
        #[service] MyService
        #[service()] HTTPServer
        #[service] XMLToJSON
        #[service] Get2Items
        #[service(name = "orders.charge")] Charge
    }

    #[service]
    pub(super) async fn get_user(_ctx: &Context) -> Result<()> {
        Ok(())
    }

    #[service]
    pub(super) async fn r#type(_ctx: &Context) -> Result<()> {
        Ok(())
    }

    pub(super) mod r#loop {
        use super::*;

        services! { #[service] Turn #[service] r#Raw }
    }

    #[test]
    fn derived() {
        assert_eq!(MyService::NAME, "macros.names.my-module.my-service");
        assert_eq!(HTTPServer::NAME, "macros.names.my-module.http-server");
        assert_eq!(XMLToJSON::NAME, "macros.names.my-module.xml-to-json");
        assert_eq!(Get2Items::NAME, "macros.names.my-module.get2-items");
        assert_eq!(get_user::NAME, "macros.names.my-module.get-user");
        assert_eq!(r#type::NAME, "macros.names.my-module.type");
        assert_eq!(r#loop::Turn::NAME, "macros.names.my-module.loop.turn");
        assert_eq!(r#loop::Raw::NAME, "macros.names.my-module.loop.raw");
    }

    #[test]
    fn explicit() {
        assert_eq!(Charge::NAME, "orders.charge");
        assert_eq!(Charge::service().name(), "orders.charge");
    }
}

const AT_COMPILE_TIME: &str = my_module::get_user::NAME;

#[test]
fn a_name_is_a_constant_and_says_where_it_comes_from() {
    #[service(name = "names.in-a-function")]
    struct Inner;

    impl Service for Inner {
        type Request = ();
        type Response = ();

        async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
            Ok(())
        }
    }

    assert_eq!(AT_COMPILE_TIME, "macros.names.my-module.get-user");
    assert_eq!(Inner::NAME, "names.in-a-function");
    let origin = Inner::service().erased().origin();
    assert_eq!((origin.ident(), origin.module()), ("Inner", "macros::names"));
    assert!(origin.file().ends_with("names.rs"), "{}", origin.file());
}

#[test]
fn every_service_is_registered_once() {
    for name in ["orders.charge", "names.in-a-function", AT_COMPILE_TIME] {
        assert_eq!(
            zato_core::Registration::linked().filter(|service| service.name() == name).count(),
            1,
            "{name}"
        );
    }
}

/// A literal that comes through a `macro_rules!` variable stands in an invisible group.
macro_rules! named {
    ($ident:ident, $name:literal, $attempts:expr) => {
        services! { #[service(name = $name, max_attempts = $attempts)] $ident }
    };
}

named!(FromMacro, "names.from-macro", 3);

#[test]
fn values_may_come_from_a_macro() {
    assert_eq!(FromMacro::NAME, "names.from-macro");
    assert_eq!(FromMacro::service().erased().settings().max_attempts, Some(3));
}
