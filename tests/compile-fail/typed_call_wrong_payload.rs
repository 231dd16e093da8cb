//! A typed call takes what the service takes.

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

#[service(name = "orders.call")]
async fn call(ctx: &Context) -> Result<()> {
    ctx.invoke_async(Charge::service(), "five").await?;
    Ok(())
}

#[service(name = "orders.wait")]
async fn wait(ctx: &Context) -> Result<u64> {
    Ok(ctx.invoke(Charge::service(), "five").await?)
}

fn main() {}
