//! A typed call can write the request.

use zato_core::{Context, Result, Service, service};

#[derive(serde::Deserialize)]
struct Order {
    id: u64,
}

#[service(name = "orders.charge")]
struct Charge;

impl Service for Charge {
    type Request = Order;
    type Response = u64;

    async fn handle(&self, _ctx: &Context, order: Order) -> Result<u64> {
        Ok(order.id)
    }
}

#[service(name = "orders.call")]
async fn call(ctx: &Context) -> Result<()> {
    ctx.invoke_async(Charge::service(), Order { id: 1 }).await?;
    Ok(())
}

fn main() {}
