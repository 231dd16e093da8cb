//! A field has a size.

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.charge")]
struct Charge {
    gateway: str,
}

impl Service for Charge {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        let _ = &self.gateway;
        Ok(())
    }
}

fn main() {}
