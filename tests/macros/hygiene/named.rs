//! Services that are called as something in the generated code is, or stand beside what is.

#![forbid(unsafe_code)]
#![deny(warnings, clippy::all, clippy::pedantic)]
#![allow(dead_code, non_upper_case_globals, reason = "the constants are there for their names")]

use zato_core::{Context, Result, service};

/// Functions and resources that are called as parameters and methods of the generated code are, or were.
mod functions {
    use super::{Context, Result, service};

    #[service(name = "hygiene.named.request")]
    async fn request(_: &Context, n: u64) -> Result<u64> {
        Ok(n)
    }

    #[service(name = "hygiene.named.ctx")]
    async fn ctx(ctx: &Context, request: u64) -> Result<u64> {
        Ok(request + u64::from(ctx.attempt()))
    }

    #[service(name = "hygiene.named.payload")]
    async fn payload(_: &Context, payload: u64) -> Result<u64> {
        Ok(payload)
    }

    #[service(name = "hygiene.named.resources")]
    async fn resources(_: &Context, (): (), resources: &u64) -> Result<u64> {
        Ok(*resources)
    }

    #[service(name = "hygiene.named.handle")]
    async fn handle(_: &Context, handle: u64, service: &u64, build: u64, name: &String) -> Result<u64> {
        Ok(handle + service + build + name.len() as u64)
    }

    #[service(name = "hygiene.named.build")]
    async fn build(_: &Context) -> Result<()> {
        Ok(())
    }

    #[service(name = "hygiene.named.zato")]
    async fn zato(_: &Context, zato_core: u64) -> Result<u64> {
        Ok(zato_core)
    }

    #[service(name = "hygiene.named.type")]
    async fn r#type(_: &Context, r#in: u64, r#fn: &u64) -> Result<u64> {
        Ok(r#in + r#fn)
    }

    #[service]
    async fn request_async_callback(_: &Context, request: u64) -> Result<()> {
        let _ = request;
        Ok(())
    }

    #[service]
    async fn type_async_callback(_: &Context, reply: u64) -> Result<()> {
        let _ = reply;
        Ok(())
    }

    /// A pattern's field and a parameter that is called as that would be.
    #[service(name = "hygiene.named.patterns")]
    async fn patterns(_: &Context, (): (), (a, b): &(u8, u8), resource_1: &u16, _: &u32) -> Result<u32> {
        Ok(u32::from(*a) + u32::from(*b) + u32::from(*resource_1))
    }

    pub(super) fn names() -> [&'static str; 3] {
        [request_async_callback::NAME, type_async_callback::NAME, self::service::<handle>()]
    }

    fn service<S: zato_core::Service>() -> &'static str {
        S::NAME
    }
}

/// Constants, statics and unit structs, which turn a variable of the same name into a pattern.
mod constants {
    use super::{Context, Result, service};

    const request: u64 = 1;
    const ctx: u64 = 2;
    static payload: u64 = 3;
    const resources: u64 = 4;
    #[allow(non_camel_case_types)]
    struct value;
    const Ok_: u64 = 5;

    #[service(name = "hygiene.named.constant")]
    async fn constant(_: &Context, n: u64, rates: &u64) -> Result<u64> {
        let _ = value;
        Ok(n + rates + request + ctx + payload + resources + Ok_)
    }
}

/// Types of the language's own names, and a module called as the crate is.
mod types {
    #![allow(non_camel_case_types)]

    use ::zato_core::{Context as Ctx, Result as Outcome, Service as Trait, service as bus};

    struct str;
    struct bool;
    struct u32;
    struct Self_;
    struct Context;
    struct Result;
    struct IsContext;
    struct Ended;
    struct Duration;
    mod zato_core {}
    mod core {}

    #[bus(name = "hygiene.named.service", backoff = "1s..2m", timeout = "3s", rate = "1/s", max_attempts = 2)]
    struct Service {
        text: String,
    }

    impl Trait for Service {
        type Request = ();
        type Response = usize;

        async fn handle(&self, _ctx: &Ctx, (): ()) -> Outcome<usize> {
            Ok(self.text.len())
        }
    }

    #[bus]
    struct ServiceAsyncCallback;

    impl Trait for ServiceAsyncCallback {
        type Request = usize;
        type Response = ();

        async fn handle(&self, _ctx: &Ctx, _reply: usize) -> Outcome<()> {
            Ok(())
        }
    }

    #[bus(name = "hygiene.named.aliased")]
    async fn aliased(_: &'_ Ctx, n: u64) -> Outcome<u64> {
        Ok(n)
    }

    #[bus]
    async fn aliased_async_failure(_: &::zato_core::Context, _: ::zato_core::FailureReport) -> Outcome<()> {
        Ok(())
    }
}

/// What a declarative macro writes.
mod written {
    use super::{Context, Result, service};

    macro_rules! written {
        ($($name:literal $function:ident($request:ident: $type:ty, $resource:ident: $of:ty) -> $response:ty $body:block)*) => {$(
            #[service(name = $name)]
            async fn $function(ctx: &Context, $request: $type, $resource: &$of) -> Result<$response> {
                let _ = ctx;
                Ok($body)
            }
        )*};
    }

    written! {
        "hygiene.named.written" written(request: u64, ctx: u64) -> u64 { request + ctx }
        "hygiene.named.request-again" request(written: u64, resources: String) -> u64 { written + resources.len() as u64 }
    }
}

/// Attributes beside `#[service]`.
mod attributes {
    use super::{Context, Result, service};

    #[service(name = "hygiene.named.deprecated")]
    #[deprecated(note = "call the other one")]
    async fn deprecated(_: &Context, n: u64) -> Result<u64> {
        Ok(n)
    }

    #[deprecated]
    #[service(name = "hygiene.named.deprecated-too")]
    async fn deprecated_too(_: &Context, n: u64, text: &String) -> Result<u64> {
        Ok(n + text.len() as u64)
    }

    #[service(name = "hygiene.named.deprecated-struct")]
    #[deprecated]
    struct Deprecated;

    #[allow(deprecated, reason = "the compiler warns here without `#[service]` too")]
    impl zato_core::Service for Deprecated {
        type Request = ();
        type Response = ();

        async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
            Ok(())
        }
    }

    #[service(name = "hygiene.named.absent")]
    #[cfg(any())]
    async fn absent(_: &Context, n: NoSuchType) -> Result<u64> {
        Ok(n)
    }

    #[service(name = "hygiene.named.absent")]
    #[cfg(any())]
    struct Absent(NoSuchType);

    #[service(name = "hygiene.named.present")]
    #[cfg(not(any()))]
    #[must_use = "the number is the point"]
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "for the lint")]
    async fn present(
        _: &Context,
        n: u64,
        one: &u8,
        two: &u16,
        three: &u32,
        four: &i8,
        five: &i16,
        six: &i32,
    ) -> Result<u64> {
        let _ = (one, two, three, four, five, six);
        Ok(n)
    }

    #[tracing::instrument(skip_all)]
    #[service(name = "hygiene.named.instrumented-before")]
    async fn instrumented_before(_: &Context, n: u64) -> Result<u64> {
        Ok(n)
    }

    #[service(name = "hygiene.named.instrumented-after")]
    #[tracing::instrument(skip_all)]
    async fn instrumented_after(_: &Context, n: u64) -> Result<u64> {
        Ok(n)
    }
}

/// A function with a type of another name, beside a module of its own.
mod typed {
    mod charge {
        use zato_core::{Context, Result, service};

        #[service(type = Charge)]
        pub(super) async fn charge(_: &Context, cents: u64) -> Result<u64> {
            Ok(cents)
        }

        #[service(type = ChargeAsyncCallback)]
        async fn on_charged(_: &Context, cents: u64) -> Result<()> {
            let _ = cents;
            Ok(())
        }

        pub(super) const CALLBACK: &str = ChargeAsyncCallback::NAME;
    }

    use charge::{Charge, charge};

    pub(super) fn names() -> [&'static str; 2] {
        let _ = charge;
        [Charge::NAME, charge::CALLBACK]
    }
}

#[test]
fn services_of_every_name_are_registered() {
    main();
    for name in [
        "request",
        "ctx",
        "payload",
        "resources",
        "handle",
        "build",
        "zato",
        "type",
        "patterns",
        "constant",
        "service",
        "aliased",
        "written",
        "request-again",
        "deprecated",
        "deprecated-too",
        "deprecated-struct",
        "present",
        "instrumented-before",
        "instrumented-after",
    ] {
        let name = format!("hygiene.named.{name}");
        assert!(zato_core::Registration::linked().any(|service| service.name() == name), "{name}");
    }
    assert!(!zato_core::Registration::linked().any(|service| service.name().ends_with("absent")));
}

fn main() {
    let expected =
        ["hygiene.named.request-async-callback", "hygiene.named.type-async-callback", "hygiene.named.handle"];
    assert_eq!(functions::names(), expected);
    let [charge, callback] = typed::names();
    assert!(charge.ends_with(".typed.charge.charge"), "{charge}");
    assert_eq!(callback, format!("{charge}-async-callback"));
}
