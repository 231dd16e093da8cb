//! `crate` names `zato-core` or what re-exports all of it.

use zato_core::{Context, Result, service};

mod bus {
    pub use zato_core::{Context, Result, service};
}

#[service(name = "orders.price", crate = bus)]
async fn price(_ctx: &Context) -> Result<()> {
    Ok(())
}

#[service(name = "orders.charge", crate = buss)]
async fn charge(_ctx: &Context) -> Result<()> {
    Ok(())
}

fn main() {}
