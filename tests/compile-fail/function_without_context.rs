//! The first parameter is `&Context`.

use zato_core::{Context, Result, service};

#[service(name = "orders.price")]
async fn price(order: u64) -> Result<u64> {
    Ok(order)
}

#[service(name = "orders.owned")]
async fn owned(_ctx: Context, order: u64) -> Result<u64> {
    Ok(order)
}

#[service(name = "orders.nothing")]
async fn nothing() -> Result<()> {
    Ok(())
}

fn main() {
    let _ = (price::service(), owned::service(), nothing::service());
}
