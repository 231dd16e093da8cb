//! An unnamed `XAsyncCallback` stands beside `X`.

use zato_core::{Context, Result, Service, service};

#[service]
struct ChargeAsyncCallback;

impl Service for ChargeAsyncCallback {
    type Request = ();
    type Response = ();

    async fn handle(&self, _ctx: &Context, (): ()) -> Result<()> {
        Ok(())
    }
}

#[service]
async fn price_async_failure(_ctx: &Context) -> Result<()> {
    Ok(())
}

fn main() {
    let _ = ChargeAsyncCallback::NAME;
}
