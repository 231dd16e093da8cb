//! A typed callback takes what the target returns.

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.charge")]
struct Charge;

impl Service for Charge {
    type Request = u64;
    type Response = u64;

    async fn handle(&self, _ctx: &Context, order: u64) -> Result<u64> {
        Ok(order)
    }
}

#[service(name = "orders.receipt")]
async fn receipt(ctx: &Context, _text: String) -> Result<()> {
    ctx.invoke_async(Charge::service(), 5_u64).callback(receipt::service()).await?;
    Ok(())
}

fn main() {}
