//! The way of an order: submitted, charged for what it is priced at, and written to one of two books.

use zato_core::{Context, FailureReport, Result, Service, service};

use crate::order::{Order, Price, Receipt};
use crate::resources::{Books, Ledger, Prices};

/// Takes a line of the input. One that is no order ends as `Undecodable`, before `handle` is reached.
#[service(name = "orders.submit")]
pub(crate) struct Submit;

impl Service for Submit {
    type Request = Order;
    type Response = ();

    async fn handle(&self, ctx: &Context, order: Order) -> Result<()> {
        order.validate()?;
        ctx.invoke_async(Charge::service(), order).await?;
        Ok(())
    }
}

/// Receives what `Submit` called for, if it succeeded: the callback by convention.
#[service]
struct SubmitAsyncCallback {
    books: Books,
}

impl Service for SubmitAsyncCallback {
    type Request = Receipt;
    type Response = ();

    async fn handle(&self, _: &Context, receipt: Receipt) -> Result<()> {
        Ok(self.books.receive(&receipt)?)
    }
}

/// Receives what `Submit` called for, if it failed. The program names it for `Submit` itself, too.
#[service]
pub(crate) struct SubmitAsyncFailure {
    books: Books,
}

impl Service for SubmitAsyncFailure {
    type Request = FailureReport;
    type Response = ();

    async fn handle(&self, ctx: &Context, report: FailureReport) -> Result<()> {
        Ok(self.books.refuse(ctx.root(), &report)?)
    }
}

/// Charges an order.
#[service(name = "orders.charge")]
struct Charge {
    ledger: Ledger,
}

impl Service for Charge {
    type Request = Order;
    type Response = Receipt;

    async fn handle(&self, ctx: &Context, order: Order) -> Result<Receipt> {
        // Synchronous and typed: the compiler knows that this is a `Price`.
        let price = ctx.invoke(price::service(), &order).await?;
        self.ledger.charge(ctx.cid(), &order, &price)?;
        Ok(Receipt {
            order: order.id,
            payment: ctx.cid(),
            card: order.card.last4,
            amount: price.amount,
            currency: order.currency,
            eur_cents: price.eur_cents,
        })
    }
}

/// Prices an order. A function is a service too; its resources are parameters.
#[service(name = "orders.price")]
async fn price(_: &Context, order: Order, prices: &Prices) -> Result<Price> {
    prices.price(&order)
}
