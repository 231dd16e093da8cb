//! An unnamed `XAsyncCallback` stands beside a service `X`.

use zato_core::{Context, Result, Service, service};

struct Charge;

#[service]
struct ChargeAsyncCallback;

impl Service for ChargeAsyncCallback {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        Ok(())
    }
}

fn main() {
    let _ = (Charge, ChargeAsyncCallback::NAME);
}
