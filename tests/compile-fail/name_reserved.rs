//! A name does not start with `zato.`.

use zato_core::{Context, Result, Service, service};

#[service(name = "zato.charge")]
struct Charge;

impl Service for Charge {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        Ok(())
    }
}

fn main() {
    let _ = Charge::NAME;
}
