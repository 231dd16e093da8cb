//! A derived name is at most 128 bytes long too, and so is that of a callback.

use zato_core::{Context, Result, service};

#[service]
async fn a_function_whose_identifier_goes_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on_and_on(
    _ctx: &Context,
) -> Result<()> {
    Ok(())
}

#[service(name = "this-name-is-short-enough.but-what-a-callback-adds-to-it-makes-it-too-long.and-that-is-said-where-it-stands.or-else-it")]
async fn price(_ctx: &Context) -> Result<()> {
    Ok(())
}

#[service]
async fn price_async_callback(_ctx: &Context) -> Result<()> {
    Ok(())
}

fn main() {}
