//! There is at least one attempt.

use zato_core::{Context, Result, Service, service};

#[service(max_attempts = 0)]
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
