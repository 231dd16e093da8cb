//! A name is at most 128 bytes long.

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-long")]
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
