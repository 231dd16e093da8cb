//! A service function is one function.

use zato_core::{Context, Result, service};

#[service(name = "orders.price")]
async fn price<T: Into<u64> + Send>(_ctx: &Context, order: T) -> Result<u64> {
    Ok(order.into())
}

#[service(name = "orders.unnamed")]
async fn unnamed(_ctx: &Context, _: (), rates: &impl Copy) -> Result<()> {
    let _ = rates;
    Ok(())
}

fn main() {}
