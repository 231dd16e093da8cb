//! A service function is async.

use zato_core::{Context, Result, service};

#[service(name = "orders.price")]
fn price(_ctx: &Context, order: u64) -> Result<u64> {
    Ok(order)
}

fn main() {
    let _ = price::service();
}
