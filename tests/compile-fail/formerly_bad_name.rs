//! A former name is a name too.

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.charge", formerly = ["Orders.Bill", "orders.charge", 5])]
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
