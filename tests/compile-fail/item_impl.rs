//! The attribute goes above the struct.

use zato_core::{Context, Result, Service, service};

struct Charge;

#[service]
impl Service for Charge {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        Ok(())
    }
}

fn main() {}
