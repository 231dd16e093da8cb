//! A callback is given by the type, not by the constant of its name.

use zato_core::{Context, Result, service};

#[service(name = "orders.receipt")]
async fn receipt(_ctx: &Context, order: u64) -> Result<()> {
    let _ = order;
    Ok(())
}

#[service(name = "orders.charge", callback = receipt::NAME)]
async fn charge(_ctx: &Context, order: u64) -> Result<u64> {
    Ok(order)
}

fn main() {}
