//! A resource can be cloned.

use zato_core::{Context, Result, Service, service};

struct Pool;

#[service(name = "orders.charge")]
struct Charge {
    pool: Pool,
}

impl Service for Charge {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        let _ = &self.pool;
        Ok(())
    }
}

#[service(name = "orders.price")]
async fn price(_ctx: &Context, _: (), _pool: &Pool) -> Result<()> {
    Ok(())
}

fn main() {}
