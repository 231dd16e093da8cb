//! The context is that of zato-core.

use zato_core::{Result, service};

struct Context;

#[service(name = "orders.price")]
async fn price(_ctx: &Context, order: u64) -> Result<u64> {
    Ok(order)
}

fn main() {}
