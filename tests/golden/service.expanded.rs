//! What a user writes; `service.expanded.rs` shows what becomes of it.
use zato_core::{Context, Result, Service, service};
struct MyService;
const _: () = {
    use ::zato_core::__private as __zato;
    #[automatically_derived]
    impl __zato::Registered for MyService {
        const ORIGIN: __zato::Origin = __zato::Origin::new(
            "MyService",
            ::core::module_path!(),
            ::core::file!(),
            ::core::line!(),
        );
        const NAMED: __zato::Named = __zato::Named::derived(
            &<Self as __zato::Registered>::ORIGIN,
            false,
        );
        fn build(
            _: &__zato::Resources,
        ) -> ::core::result::Result<Self, __zato::MissingResource> {
            ::core::result::Result::Ok(Self {})
        }
    }
    #[automatically_derived]
    #[allow(dead_code)]
    impl MyService {
        /// The service's name.
        const NAME: &'static ::core::primitive::str = <Self as __zato::Registered>::NAME;
        /// The handle of the service, which is accepted wherever its name is; with it, the compiler checks the call.
        const fn service() -> __zato::Handle<Self> {
            __zato::Handle::new()
        }
    }
    __zato::inventory::submit! {
        __zato::Registration::of:: < MyService > ()
    }
    <MyService as __zato::Registered>::NAMED.check();
};
pub struct Charge {
    pool: Pool,
    mailer: Mailer,
}
const _: () = {
    use ::zato_core::__private as __zato;
    #[automatically_derived]
    impl __zato::Registered for Charge {
        const ORIGIN: __zato::Origin = __zato::Origin::new(
            "Charge",
            ::core::module_path!(),
            ::core::file!(),
            ::core::line!(),
        );
        const NAMED: __zato::Named = __zato::Named::explicit("orders.charge");
        const SETTINGS: __zato::Settings = __zato::Settings::new()
            .max_attempts(5)
            .backoff_between(
                ::core::time::Duration::from_millis(1000),
                ::core::time::Duration::from_millis(120000),
            )
            .timeout(::core::time::Duration::from_millis(30000))
            .callback(<Receipt as __zato::Registered>::NAME);
        const NEEDS: &'static [__zato::Need] = &[
            __zato::Need::of::<Pool>("pool"),
            __zato::Need::of::<Mailer>("mailer"),
        ];
        fn build(
            __zato_resources: &__zato::Resources,
        ) -> ::core::result::Result<Self, __zato::MissingResource> {
            ::core::result::Result::Ok(Self {
                pool: __zato_resources.get()?,
                mailer: __zato_resources.get()?,
            })
        }
    }
    #[automatically_derived]
    #[allow(dead_code)]
    impl Charge {
        /// The service's name.
        pub const NAME: &'static ::core::primitive::str = <Self as __zato::Registered>::NAME;
        /// The handle of the service, which is accepted wherever its name is; with it, the compiler checks the call.
        pub const fn service() -> __zato::Handle<Self> {
            __zato::Handle::new()
        }
    }
    __zato::inventory::submit! {
        __zato::Registration::of:: < Charge > ()
    }
};
struct ChargeAsyncFailure;
const _: () = {
    use ::zato_core::__private as __zato;
    #[automatically_derived]
    impl __zato::Registered for ChargeAsyncFailure {
        const ORIGIN: __zato::Origin = __zato::Origin::new(
            "ChargeAsyncFailure",
            ::core::module_path!(),
            ::core::file!(),
            ::core::line!(),
        );
        #[allow(dead_code, unused_imports, non_camel_case_types, deprecated)]
        const NAMED: __zato::Named = {
            type Charge = __zato::Nothing;
            type ChargeAsyncFailure = __zato::Nothing;
            {
                use self::*;
                use __zato::Otherwise as _;
                __zato::Named::failure_of(
                    __zato::Beside::<Charge>::FOUND,
                    __zato::Here::<Self, ChargeAsyncFailure>::IS,
                )
            }
        };
        fn build(
            _: &__zato::Resources,
        ) -> ::core::result::Result<Self, __zato::MissingResource> {
            ::core::result::Result::Ok(Self {})
        }
    }
    #[automatically_derived]
    #[allow(dead_code)]
    impl ChargeAsyncFailure {
        /// The service's name.
        const NAME: &'static ::core::primitive::str = <Self as __zato::Registered>::NAME;
        /// The handle of the service, which is accepted wherever its name is; with it, the compiler checks the call.
        const fn service() -> __zato::Handle<Self> {
            __zato::Handle::new()
        }
    }
    __zato::inventory::submit! {
        __zato::Registration::of:: < ChargeAsyncFailure > ()
    }
    <ChargeAsyncFailure as __zato::Registered>::NAMED
        .check_pair("ChargeAsyncFailure", "Charge", "failure callback", "on_failure");
};
struct ChargeAsyncCallback;
const _: () = {
    use ::zato_core::__private as __zato;
    #[automatically_derived]
    impl __zato::Registered for ChargeAsyncCallback {
        const ORIGIN: __zato::Origin = __zato::Origin::new(
            "ChargeAsyncCallback",
            ::core::module_path!(),
            ::core::file!(),
            ::core::line!(),
        );
        const NAMED: __zato::Named = __zato::Named::explicit("orders.charged");
        #[allow(dead_code, unused_imports, non_camel_case_types, deprecated)]
        const CALLBACK_OF: ::core::option::Option<&'static ::core::primitive::str> = {
            type Charge = __zato::Nothing;
            type ChargeAsyncCallback = __zato::Nothing;
            {
                use self::*;
                use __zato::Otherwise as _;
                __zato::Beside::<Charge>::FOUND
                    .service(__zato::Here::<Self, ChargeAsyncCallback>::IS)
            }
        };
        fn build(
            _: &__zato::Resources,
        ) -> ::core::result::Result<Self, __zato::MissingResource> {
            ::core::result::Result::Ok(Self {})
        }
    }
    #[automatically_derived]
    #[allow(dead_code)]
    impl ChargeAsyncCallback {
        /// The service's name.
        const NAME: &'static ::core::primitive::str = <Self as __zato::Registered>::NAME;
        /// The handle of the service, which is accepted wherever its name is; with it, the compiler checks the call.
        const fn service() -> __zato::Handle<Self> {
            __zato::Handle::new()
        }
    }
    __zato::inventory::submit! {
        __zato::Registration::of:: < ChargeAsyncCallback > ()
    }
};
#[allow(clippy::unused_async, clippy::ptr_arg, clippy::single_call_fn)]
/// What an order costs.
async fn price(ctx: &Context, order: Order, rates: &Rates) -> Result<Price> {
    rates.of(ctx, order)
}
/// What an order costs.
#[allow(non_camel_case_types, missing_docs, clippy::missing_docs_in_private_items)]
struct price {
    rates: Rates,
}
const _: () = {
    use ::zato_core::__private as __zato;
    #[automatically_derived]
    impl __zato::Registered for price {
        const ORIGIN: __zato::Origin = __zato::Origin::new(
            "price",
            ::core::module_path!(),
            ::core::file!(),
            ::core::line!(),
        );
        const NAMED: __zato::Named = __zato::Named::explicit("orders.price");
        const NEEDS: &'static [__zato::Need] = &[__zato::Need::of::<Rates>("rates")];
        fn build(
            __zato_resources: &__zato::Resources,
        ) -> ::core::result::Result<Self, __zato::MissingResource> {
            ::core::result::Result::Ok(Self {
                rates: __zato_resources.get()?,
            })
        }
    }
    #[automatically_derived]
    #[allow(dead_code)]
    impl price {
        /// The service's name.
        const NAME: &'static ::core::primitive::str = <Self as __zato::Registered>::NAME;
        /// The handle of the service, which is accepted wherever its name is; with it, the compiler checks the call.
        const fn service() -> __zato::Handle<Self> {
            __zato::Handle::new()
        }
    }
    #[automatically_derived]
    #[allow(unused_qualifications)]
    impl __zato::Service for price {
        type Request = Order;
        type Response = <Result<Price> as __zato::Returned>::Response;
        async fn handle(
            &self,
            __zato_ctx: &__zato::Context,
            __zato_request: Self::Request,
        ) -> __zato::Result<Self::Response> {
            #[allow(unused_imports)]
            use __zato::EndedOtherwise as _;
            __zato::Ended::of(
                    price(
                            <Context as __zato::IsContext>::of(__zato_ctx),
                            __zato_request,
                            &self.rates,
                        )
                        .await,
                )
                .handled()
        }
    }
    __zato::inventory::submit! {
        __zato::Registration::of:: < price > ()
    }
};
