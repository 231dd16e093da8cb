//! A method is no service function.

use zato_core::{Context, Result, service};

struct Prices;

impl Prices {
    #[service(name = "orders.price")]
    async fn price(&self, _ctx: &Context, order: u64) -> Result<u64> {
        Ok(order)
    }
}

fn main() {
    let _ = Prices::price;
}
