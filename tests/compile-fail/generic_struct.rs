//! A service is one type.

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.charge")]
struct Charge<T> {
    pool: T,
}

impl<T: Send + Sync + 'static> Service for Charge<T> {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        let _ = &self.pool;
        Ok(())
    }
}

#[service(name = "orders.refund")]
struct Refund<'a> {
    pool: &'a str,
}

fn main() {}
