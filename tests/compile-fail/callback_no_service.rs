//! A callback that is given by its type is a service.

use zato_core::{Context, Result, Service, service};

#[service(callback = String)]
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
