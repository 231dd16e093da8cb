//! Numbers have their ranges.

use zato_core::{Context, Result, Service, service};

#[service(priority = 200, concurrency = 0, max_losses = -1, max_attempts = "5")]
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
