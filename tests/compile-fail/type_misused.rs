//! `type` names the type that is written for a function, once; `crate` is a path.

use zato_core::{Context, Result, service};

#[service(name = "orders.charge", type = Charge)]
struct ChargeService;

#[service(name = "orders.price", type = "Price")]
async fn price(_ctx: &Context) -> Result<()> {
    Ok(())
}

#[service(name = "orders.refund", crate = 5)]
async fn refund(_ctx: &Context) -> Result<()> {
    Ok(())
}

#[service(name = "orders.bill")]
#[service(max_attempts = 5)]
async fn bill(_ctx: &Context) -> Result<()> {
    Ok(())
}

fn main() {}
