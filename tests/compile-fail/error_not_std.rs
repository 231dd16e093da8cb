//! An error that is not a `std::error::Error` becomes a failure by `OrFail`.

use zato_core::{Context, Result, Service, service};

fn rates() -> anyhow::Result<u64> {
    Ok(1)
}

fn stock() -> std::result::Result<u64, Box<dyn std::error::Error>> {
    Ok(1)
}

#[service(name = "orders.charge")]
struct Charge;

impl Service for Charge {
    type Request = ();
    type Response = u64;

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<u64> {
        let rates = rates()?;
        let stock = stock()?;
        if stock == 0 {
            return Err("nothing left".into());
        }
        Ok(rates)
    }
}

fn main() {}
