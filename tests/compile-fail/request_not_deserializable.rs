//! A request can be read.

use zato_core::{Context, Result, Service, service};

struct Order;

#[service(name = "orders.charge")]
struct Charge;

impl Service for Charge {
    type Request = Order;
    type Response = ();

    async fn handle(&self, _ctx: &Context, _order: Order) -> Result<()> {
        Ok(())
    }
}

#[service(name = "orders.price")]
async fn price(_ctx: &Context, _order: Order) -> Result<()> {
    Ok(())
}

fn main() {}
