//! A duration is a `Duration` or a text.

use zato_core::{Context, Failure, Result, service};

#[service(name = "orders.price")]
async fn price(ctx: &Context, order: u64) -> Result<()> {
    ctx.invoke_async(price::service(), order).delay(5).await?;
    Err(Failure::retry_after(30))
}

fn main() {}
