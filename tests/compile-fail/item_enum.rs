//! An enum is no service.

use zato_core::{Context, Result, Service, service};

#[service]
enum Charge {
    Once,
}

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
