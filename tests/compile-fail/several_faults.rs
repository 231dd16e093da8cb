//! All faults come at once.

use zato_core::{Context, Result, Service, service};

#[service(name = "Orders.Charge", max_attempt = 5, timeout = "soon", concurrency = 0)]
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
