//! A service function returns a result.

use zato_core::{Context, service};

#[service(name = "orders.nothing")]
async fn nothing(_ctx: &Context) {}

#[service(name = "orders.price")]
async fn price(_ctx: &Context, order: u64) -> u64 {
    order
}

fn main() {}
