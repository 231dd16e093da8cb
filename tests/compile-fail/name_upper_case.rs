//! A name is lower-case.

use zato_core::{Context, Result, Service, service};

#[service(name = "Orders.Charge")]
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
