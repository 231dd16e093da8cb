//! `#[cfg]` on a part of the item that the generated code cannot name in every configuration.

use zato_core::{Context, Result, Service, service};

#[service(name = "orders.charge")]
async fn charge(_ctx: &Context, #[cfg(unix)] order: u64, #[cfg(not(unix))] order: u32) -> Result<()> {
    let _ = order;
    Ok(())
}

#[service(name = "orders.price")]
async fn price(#[cfg(unix)] _ctx: &Context, order: u64) -> Result<u64> {
    Ok(order)
}

#[service(name = "orders.log")]
struct Log(String, #[cfg(not(unix))] u32, u64);

impl Service for Log {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        Ok(())
    }
}

fn main() {}
