//! A handler's future can move between threads.

use std::rc::Rc;

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.charge")]
struct Charge;

impl Service for Charge {
    type Request = ();
    type Response = ();

    async fn handle(&self, ctx: &Context, (): ()) -> Result<()> {
        let total = Rc::new(1);
        ctx.cancelled().await;
        drop(total);
        Ok(())
    }
}

fn main() {}
