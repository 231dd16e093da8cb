//! A syntax error in a function's body is the compiler's alone, and the function's handle stays.

use zato_core::{Context, Result, service};

#[service(name = "orders.price")]
async fn price(_ctx: &Context, order: u64) -> Result<u64> {
    let total = order.;
    Ok(total)
}

fn main() {
    let _ = price::service();
    let _ = price::NAME;
}
