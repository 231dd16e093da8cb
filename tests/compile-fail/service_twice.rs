//! An item has one `#[service]`, however that is written.

use zato_core::{Context, Result, service};

#[service(name = "orders.charge")]
#[service(max_attempts = 2)]
async fn charge(_ctx: &Context, order: u64) -> Result<u64> {
    Ok(order)
}

#[service(name = "orders.price")]
#[zato_core::service(max_attempts = 2)]
async fn price(_ctx: &Context, order: u64) -> Result<u64> {
    Ok(order)
}

fn main() {}
