//! A service crate that depends on `zato-core` under another name, and cannot name it otherwise.

use bus::{Context, Result, Service, service};

/// A struct service.
#[service(name = "renamed.charge", crate = bus, backoff = "1s..2m", timeout = "30s", rate = "9/s")]
pub struct Charge {
    text: String,
}

impl Service for Charge {
    type Request = u64;
    type Response = String;

    async fn handle(&self, _ctx: &Context, cents: u64) -> Result<String> {
        if cents == 0 {
            bus::fail!("nothing to pay");
        }
        Ok(format!("{} {cents}", self.text))
    }
}

/// Its callback by convention.
///
/// # Errors
///
/// Never.
#[service(crate = bus, type = ChargeAsyncCallback)]
pub async fn on_charged(_ctx: &Context, reply: String) -> Result<()> {
    let _ = reply;
    Ok(())
}

/// A service function.
///
/// # Errors
///
/// If there is no price.
#[service(name = "renamed.price", crate = bus)]
pub async fn price(_ctx: &Context, order: u64, rate: &u64) -> Result<u64, String> {
    order.checked_mul(*rate).ok_or_else(|| "the price is too high".to_owned())
}
