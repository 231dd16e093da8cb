//! The request is owned, resources are shared and have a size.

use zato_core::{Context, Result, service};

#[service(name = "orders.note")]
async fn note(_ctx: &Context, text: &str) -> Result<()> {
    let _ = text;
    Ok(())
}

#[service(name = "orders.parse")]
async fn parse(_ctx: &Context, text: Option<&str>) -> Result<()> {
    let _ = text;
    Ok(())
}

#[service(name = "orders.count")]
async fn count(_ctx: &Context, _: (), counter: &mut u64, prefix: &str) -> Result<()> {
    let _ = prefix;
    *counter += 1;
    Ok(())
}

fn main() {}
