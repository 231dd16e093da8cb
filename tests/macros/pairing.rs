//! Which service is whose callback by convention.

use zato_core::{Context, Registration, Result, Service, service};

use crate::names::services;

fn callback_of(service: &Registration) -> Option<&'static str> {
    service.callback_of()
}

services! {
    #[service] Derived
    #[service] DerivedAsyncCallback
    #[service] DerivedAsyncFailure
    #[service(name = "pairing.explicit")] Explicit
    #[service] ExplicitAsyncCallback
    #[service] ExplicitAsyncCallbackAsyncCallback
    #[service(name = "pairing.of-explicit")] ExplicitAsyncFailure
    #[service(name = "pairing.of-nothing")] AbsentAsyncCallback
    #[service(name = "pairing.of-no-service")] PlainAsyncCallback
    #[service(name = "pairing.of-std")] StringAsyncCallback
    #[service(name = "pairing.only-suffix")] AsyncCallback
}

struct Plain;

#[test]
fn an_unnamed_callback_is_named_after_its_caller() {
    assert_eq!(DerivedAsyncCallback::NAME, "macros.pairing.derived-async-callback");
    assert_eq!(DerivedAsyncFailure::NAME, "macros.pairing.derived-async-failure");
    assert_eq!(ExplicitAsyncCallback::NAME, "pairing.explicit-async-callback");
    assert_eq!(ExplicitAsyncCallbackAsyncCallback::NAME, "pairing.explicit-async-callback-async-callback");
    assert_eq!(callback_of(&ExplicitAsyncCallback::service().erased()), None);
}

#[test]
fn a_named_callback_says_whose_it_is() {
    let failure = ExplicitAsyncFailure::service().erased();
    assert_eq!((failure.name(), failure.failure_of()), ("pairing.of-explicit", Some("pairing.explicit")));
    assert_eq!(failure.callback_of(), None);
}

#[test]
fn a_named_callback_without_a_caller_is_an_ordinary_service() {
    let _ = Plain;
    for service in [
        AbsentAsyncCallback::service().erased(),
        PlainAsyncCallback::service().erased(),
        StringAsyncCallback::service().erased(),
        AsyncCallback::service().erased(),
    ] {
        assert_eq!((service.callback_of(), service.failure_of()), (None, None), "{service:?}");
    }
}

mod elsewhere {
    use super::*;

    services! { #[service(name = "pairing.imported")] Imported }

    pub(super) mod deeper {
        use super::*;

        services! { #[service(name = "pairing.imported.by-glob")] ImportedByGlob }
    }

    impl Imported {
        pub(super) fn exists() {}
    }
}

mod importing {
    use super::*;

    use super::elsewhere::Imported;
    #[allow(clippy::wildcard_imports, reason = "that a caller may come through one is tested here")]
    use super::elsewhere::deeper::*;

    services! {
        #[service] ImportedAsyncCallback
        #[service(name = "pairing.importing.named")] ImportedAsyncFailure
        #[service] ImportedByGlobAsyncCallback
    }

    #[test]
    fn a_caller_may_be_imported() {
        Imported::exists();
        assert_eq!(ImportedAsyncCallback::NAME, "pairing.imported-async-callback");
        assert_eq!(ImportedAsyncFailure::service().erased().failure_of(), Some("pairing.imported"));
        assert_eq!(ImportedByGlobAsyncCallback::NAME, "pairing.imported.by-glob-async-callback");
    }
}

mod functions {
    use super::*;

    #[service(name = "pairing.price")]
    async fn price(_ctx: &Context) -> Result<()> {
        Ok(())
    }

    #[service]
    async fn price_async_callback(_ctx: &Context) -> Result<()> {
        Ok(())
    }

    #[service(name = "pairing.price-failed")]
    async fn price_async_failure(_ctx: &Context) -> Result<()> {
        Ok(())
    }

    #[service]
    async fn r#match(_ctx: &Context) -> Result<()> {
        Ok(())
    }

    #[service]
    async fn match_async_callback(_ctx: &Context) -> Result<()> {
        Ok(())
    }

    #[test]
    fn functions_pair_as_structs_do() {
        assert_eq!(price_async_callback::NAME, "pairing.price-async-callback");
        assert_eq!(price_async_failure::service().erased().failure_of(), Some("pairing.price"));
        assert_eq!(match_async_callback::NAME, "macros.pairing.functions.match-async-callback");
    }
}

#[test]
fn inside_a_function_only_the_attribute_pairs() {
    services! {
        #[service(name = "pairing.local", callback = LocalAsyncCallback, on_failure = Explicit)] Local
        #[service(name = "pairing.local.callback")] LocalAsyncCallback
        // The module has an `Explicit` and an `ExplicitAsyncFailure`; this is another type than the latter.
        #[service(name = "pairing.local.failure")] ExplicitAsyncFailure
    }

    let settings = *Local::service().erased().settings();
    assert_eq!(settings.callback, Some("pairing.local.callback"));
    assert_eq!(settings.on_failure, Some("pairing.explicit"));
    assert_eq!(callback_of(&LocalAsyncCallback::service().erased()), None);
    assert_eq!(ExplicitAsyncFailure::service().erased().failure_of(), None);
}
