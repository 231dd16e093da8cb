//! There is no such key; the nearest is named.

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.charge", max_attempt = 5)]
struct Charge;

impl Service for Charge {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        Ok(())
    }
}

fn main() {
    let _ = Charge::NAME;
}
