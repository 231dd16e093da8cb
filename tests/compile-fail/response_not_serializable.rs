//! A response can be written.

use zato_core::{Context, Result, Service, service};

struct Receipt;

#[service(name = "orders.charge")]
struct Charge;

impl Service for Charge {
    type Request = ();
    type Response = Receipt;

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<Receipt> {
        Ok(Receipt)
    }
}

#[service(name = "orders.price")]
async fn price(_ctx: &Context) -> Result<Receipt> {
    Ok(Receipt)
}

fn main() {}
