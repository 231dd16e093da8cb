//! What a user writes; `service.expanded.rs` shows what becomes of it.
use zato_core::{Context, Result, Service, service};
struct MyService;
#[automatically_derived]
impl ::zato_core::Registered for MyService {
    const ORIGIN: ::zato_core::Origin = ::zato_core::Origin::new(
        "MyService",
        ::core::module_path!(),
        ::core::file!(),
        ::core::line!(),
    );
    const NAMED: ::zato_core::__private::Named = ::zato_core::__private::Named::derived(
        &<Self as ::zato_core::Registered>::ORIGIN,
        false,
    );
    fn build(
        _resources: &::zato_core::Resources,
    ) -> ::core::result::Result<Self, ::zato_core::MissingResource> {
        ::core::result::Result::Ok(Self {})
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl MyService {
    /// The service's name.
    const NAME: &'static str = <Self as ::zato_core::Registered>::NAME;
    /// The service by its type: stands wherever its name may stand, and lets the compiler check the call.
    const fn service() -> ::zato_core::Handle<Self> {
        ::zato_core::Handle::new()
    }
}
const _: () = {
    ::zato_core::__private::inventory::submit! {
        ::zato_core::Registration::of:: < MyService > ()
    }
    <MyService as ::zato_core::Registered>::NAMED.check();
};
pub struct Charge {
    pool: Pool,
    mailer: Mailer,
}
#[automatically_derived]
impl ::zato_core::Registered for Charge {
    const ORIGIN: ::zato_core::Origin = ::zato_core::Origin::new(
        "Charge",
        ::core::module_path!(),
        ::core::file!(),
        ::core::line!(),
    );
    const NAMED: ::zato_core::__private::Named = ::zato_core::__private::Named::explicit(
        "orders.charge",
    );
    const SETTINGS: ::zato_core::Settings = ::zato_core::Settings::new()
        .max_attempts(5)
        .backoff_between(
            ::core::time::Duration::from_millis(1000),
            ::core::time::Duration::from_millis(120000),
        )
        .timeout(::core::time::Duration::from_millis(30000))
        .callback(<Receipt as ::zato_core::Registered>::NAME);
    const NEEDS: &'static [::zato_core::Need] = &[
        ::zato_core::Need::of::<Pool>("pool"),
        ::zato_core::Need::of::<Mailer>("mailer"),
    ];
    fn build(
        resources: &::zato_core::Resources,
    ) -> ::core::result::Result<Self, ::zato_core::MissingResource> {
        ::core::result::Result::Ok(Self {
            pool: resources.get()?,
            mailer: resources.get()?,
        })
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl Charge {
    /// The service's name.
    pub const NAME: &'static str = <Self as ::zato_core::Registered>::NAME;
    /// The service by its type: stands wherever its name may stand, and lets the compiler check the call.
    pub const fn service() -> ::zato_core::Handle<Self> {
        ::zato_core::Handle::new()
    }
}
const _: () = {
    ::zato_core::__private::inventory::submit! {
        ::zato_core::Registration::of:: < Charge > ()
    }
};
struct ChargeAsyncFailure;
#[automatically_derived]
impl ::zato_core::Registered for ChargeAsyncFailure {
    const ORIGIN: ::zato_core::Origin = ::zato_core::Origin::new(
        "ChargeAsyncFailure",
        ::core::module_path!(),
        ::core::file!(),
        ::core::line!(),
    );
    #[allow(dead_code, unused_imports, non_camel_case_types)]
    const NAMED: ::zato_core::__private::Named = {
        type Charge = ::zato_core::__private::Nothing;
        type ChargeAsyncFailure = ::zato_core::__private::Nothing;
        {
            use self::*;
            use ::zato_core::__private::Otherwise as _;
            ::zato_core::__private::Named::failure_of(
                ::zato_core::__private::Beside::<Charge>::FOUND,
                ::zato_core::__private::Here::<Self, ChargeAsyncFailure>::IS,
            )
        }
    };
    fn build(
        _resources: &::zato_core::Resources,
    ) -> ::core::result::Result<Self, ::zato_core::MissingResource> {
        ::core::result::Result::Ok(Self {})
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl ChargeAsyncFailure {
    /// The service's name.
    const NAME: &'static str = <Self as ::zato_core::Registered>::NAME;
    /// The service by its type: stands wherever its name may stand, and lets the compiler check the call.
    const fn service() -> ::zato_core::Handle<Self> {
        ::zato_core::Handle::new()
    }
}
const _: () = {
    ::zato_core::__private::inventory::submit! {
        ::zato_core::Registration::of:: < ChargeAsyncFailure > ()
    }
    <ChargeAsyncFailure as ::zato_core::Registered>::NAMED
        .check_pair("ChargeAsyncFailure", "Charge", "failure callback", "on_failure");
};
struct ChargeAsyncCallback;
#[automatically_derived]
impl ::zato_core::Registered for ChargeAsyncCallback {
    const ORIGIN: ::zato_core::Origin = ::zato_core::Origin::new(
        "ChargeAsyncCallback",
        ::core::module_path!(),
        ::core::file!(),
        ::core::line!(),
    );
    const NAMED: ::zato_core::__private::Named = ::zato_core::__private::Named::explicit(
        "orders.charged",
    );
    #[allow(dead_code, unused_imports, non_camel_case_types)]
    const CALLBACK_OF: ::core::option::Option<&'static str> = {
        type Charge = ::zato_core::__private::Nothing;
        type ChargeAsyncCallback = ::zato_core::__private::Nothing;
        {
            use self::*;
            use ::zato_core::__private::Otherwise as _;
            ::zato_core::__private::Beside::<Charge>::FOUND
                .service(::zato_core::__private::Here::<Self, ChargeAsyncCallback>::IS)
        }
    };
    fn build(
        _resources: &::zato_core::Resources,
    ) -> ::core::result::Result<Self, ::zato_core::MissingResource> {
        ::core::result::Result::Ok(Self {})
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl ChargeAsyncCallback {
    /// The service's name.
    const NAME: &'static str = <Self as ::zato_core::Registered>::NAME;
    /// The service by its type: stands wherever its name may stand, and lets the compiler check the call.
    const fn service() -> ::zato_core::Handle<Self> {
        ::zato_core::Handle::new()
    }
}
const _: () = {
    ::zato_core::__private::inventory::submit! {
        ::zato_core::Registration::of:: < ChargeAsyncCallback > ()
    }
};
#[allow(clippy::unused_async)]
/// What an order costs.
async fn price(ctx: &Context, order: Order, rates: &Rates) -> Result<Price> {
    rates.of(ctx, order)
}
/// What an order costs.
#[allow(non_camel_case_types)]
struct price {
    rates: Rates,
}
#[automatically_derived]
impl ::zato_core::Registered for price {
    const ORIGIN: ::zato_core::Origin = ::zato_core::Origin::new(
        "price",
        ::core::module_path!(),
        ::core::file!(),
        ::core::line!(),
    );
    const NAMED: ::zato_core::__private::Named = ::zato_core::__private::Named::explicit(
        "orders.price",
    );
    const NEEDS: &'static [::zato_core::Need] = &[
        ::zato_core::Need::of::<Rates>("rates"),
    ];
    fn build(
        resources: &::zato_core::Resources,
    ) -> ::core::result::Result<Self, ::zato_core::MissingResource> {
        ::core::result::Result::Ok(Self { rates: resources.get()? })
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl price {
    /// The service's name.
    const NAME: &'static str = <Self as ::zato_core::Registered>::NAME;
    /// The service by its type: stands wherever its name may stand, and lets the compiler check the call.
    const fn service() -> ::zato_core::Handle<Self> {
        ::zato_core::Handle::new()
    }
}
#[automatically_derived]
impl ::zato_core::Service for price {
    type Request = Order;
    type Response = <Result<Price> as ::zato_core::__private::Returned>::Response;
    async fn handle(
        &self,
        ctx: &::zato_core::Context,
        request: Self::Request,
    ) -> ::zato_core::Result<Self::Response> {
        #[allow(unused_imports)]
        use ::zato_core::__private::EndedOtherwise as _;
        ::zato_core::__private::Ended::of(price(ctx, request, &self.rates).await)
            .handled()
    }
}
const _: () = {
    ::zato_core::__private::inventory::submit! {
        ::zato_core::Registration::of:: < price > ()
    }
};
