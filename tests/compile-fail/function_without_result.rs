//! A service function returns a result.

use zato_core::{Context, service};

#[service(name = "orders.nothing")]
async fn nothing(_ctx: &Context) {}

#[service(name = "orders.price")]
async fn price(_ctx: &Context, order: u64) -> u64 {
    order
}

#[service(name = "orders.find")]
async fn find(ctx: &Context, order: u64) -> Option<(String, u64)> {
    ctx.invoke(price::service(), order).await.ok().map(|price: u64| (String::new(), price))
}

#[derive(serde::Serialize)]
struct Price(u64);

#[service(name = "orders.price-of")]
async fn price_of(_ctx: &Context, order: u64) -> Price {
    Price(order)
}

fn main() {}
