//! What a service function fails with is an error.

use zato_core::{Context, service};

struct Refused;

#[service(name = "orders.price")]
async fn price(_ctx: &Context, order: u64) -> Result<u64, Refused> {
    Ok(order)
}

fn main() {}
