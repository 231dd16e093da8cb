//! A resource can be shared between threads.

use std::rc::Rc;

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.charge")]
struct Charge {
    pool: Rc<u64>,
}

impl Service for Charge {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        let _ = &self.pool;
        Ok(())
    }
}

fn main() {}
