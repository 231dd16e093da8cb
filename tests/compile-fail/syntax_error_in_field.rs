//! A syntax error in a struct's fields keeps the struct's handle.

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.charge")]
struct Charge {
    pool: Vec<,
}

impl Service for Charge {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        Ok(())
    }
}

fn main() {
    let _ = Charge::service();
}
