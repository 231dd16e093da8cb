//! Inside a function body an `XAsyncCallback` is paired by attribute.

use zato_core::{Context, Result, Service, service};

fn main() {
    #[service(name = "orders.charge")]
    struct Charge;

    impl Service for Charge {
        type Request = ();
        type Response = ();

        async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
            Ok(())
        }
    }

    #[service]
    struct ChargeAsyncCallback;

    impl Service for ChargeAsyncCallback {
        type Request = ();
        type Response = ();

        async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
            Ok(())
        }
    }

    #[service]
    struct ChargeAsyncFailure;

    impl Service for ChargeAsyncFailure {
        type Request = ();
        type Response = ();

        async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
            Ok(())
        }
    }
}
