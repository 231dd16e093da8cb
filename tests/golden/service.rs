//! What a user writes; `service.expanded.rs` shows what becomes of it.

use zato_core::{Context, Result, Service, service};

#[service]
struct MyService;

#[service(name = "orders.charge", max_attempts = 5, backoff = "1s..2m", timeout = "30s", callback = Receipt)]
pub struct Charge {
    pool: Pool,
    mailer: Mailer,
}

#[service]
struct ChargeAsyncFailure;

#[service(name = "orders.charged")]
struct ChargeAsyncCallback;

/// What an order costs.
#[service(name = "orders.price")]
async fn price(ctx: &Context, order: Order, rates: &Rates) -> Result<Price> {
    rates.of(ctx, order)
}
