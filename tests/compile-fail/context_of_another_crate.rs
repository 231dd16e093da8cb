//! The context is that of zato-core.

use zato_core::{Result, service};

struct Context;

#[service(name = "orders.price")]
async fn price(_ctx: &Context, order: u64) -> Result<u64> {
    Ok(order)
}

/// Without a context the first reference is taken for it.
#[service(name = "orders.total")]
async fn total(rates: &[u64]) -> Result<u64> {
    Ok(rates.iter().sum())
}

fn main() {}
