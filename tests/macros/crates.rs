//! `zato-core` under other names: through a module that re-exports it, and as a renamed dependency.

/// A module that re-exports everything, as a crate would.
mod bus {
    pub(super) use zato_core::*;

    pub(super) mod deep {
        pub(in super::super) use zato_core as core;
    }
}

use bus::{Context as Ctx, FailureReport, OrFail, Registration, Result, Service, fail, service};

#[service(name = "crates.charge", crate = bus, max_attempts = 2, backoff = "1s..2m", timeout = "1s", callback = Named)]
struct Charge {
    text: String,
}

impl Service for Charge {
    type Request = u8;
    type Response = String;

    async fn handle(&self, _ctx: &Ctx, request: u8) -> Result<String> {
        match request {
            0 => fail!("nothing to do"),
            1 => fail!(permanent, "nothing to do with {}", self.text),
            2 => Err("a text").or_retry(),
            _ => Ok(self.text.clone()),
        }
    }
}

#[service(crate = "bus")]
struct ChargeAsyncFailure;

impl Service for ChargeAsyncFailure {
    type Request = FailureReport;
    type Response = ();

    async fn handle(&self, _ctx: &Ctx, _report: FailureReport) -> Result<()> {
        Ok(())
    }
}

#[service(name = "crates.named", crate = bus::deep::core)]
async fn named(_: &Ctx, reply: String, text: &String) -> Result<()> {
    let _ = (reply, text);
    Ok(())
}

type Named = named;

#[service(crate = crate::crates::bus)]
async fn named_async_callback(_: &Ctx) -> Result<()> {
    Ok(())
}

#[test]
fn services_are_registered_under_every_name_of_the_crate() {
    for name in [
        "crates.charge",
        "crates.charge-async-failure",
        "crates.named",
        "crates.named-async-callback",
        "renamed.charge",
        "renamed.charge-async-callback",
        "renamed.price",
    ] {
        assert_eq!(Registration::linked().filter(|service| service.name() == name).count(), 1, "{name}");
    }
    assert_eq!(ChargeAsyncFailure::NAME, "crates.charge-async-failure");
    assert_eq!(named_async_callback::service().name(), "crates.named-async-callback");
    assert_eq!(zato_renamed::ChargeAsyncCallback::NAME, "renamed.charge-async-callback");
    assert_eq!(zato_renamed::price::service().name(), "renamed.price");
    assert_eq!(Charge::service().erased().settings().callback, Some("crates.named"));
}
