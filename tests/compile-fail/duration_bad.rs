//! A duration is a number with its unit.

use zato_core::{Context, Result, Service, service};

#[service(timeout = "30s1m", backoff = "2m..1s", rate = "100")]
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
