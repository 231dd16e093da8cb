//! A resource can be shared between threads.

use std::cell::RefCell;

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.charge")]
struct Charge {
    pool: RefCell<u64>,
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
