//! The patterns for more than one target: ask many at once, go on step by step, and put right what failed.
//!
//! ```console
//! $ cargo run -p zato-examples --bin trip
//! $ cargo run -p zato-examples --bin trip -- --explain
//! ```
//!
//! Expected output of the first: `expected/trip.txt`. The second prints how the bus explains what happened.

use std::error::Error;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use zato_core::{Context, Failure, FailureReport, Result, service};
use zato_runtime::{Filter, Runtime};

/// An offer of an airline.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Offer {
    airline: String,
    euros: u32,
}

/// A row of a fan-out, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Row {
    ok: bool,
    response: Option<Offer>,
    error: Option<String>,
}

/// How much the card may be charged: it is raised while the program runs.
#[derive(Clone)]
struct Card(std::sync::Arc<std::sync::atomic::AtomicU32>);

type Told = mpsc::UnboundedSender<String>;

/// Asks all airlines at once.
#[service(name = "trip.plan")]
async fn plan(ctx: &Context, airlines: Vec<String>) -> Result<()> {
    ctx.fan_out(airlines.into_iter().map(|airline| ("trip.offer", airline)))
        .on_final(choose::service())
        .await?;
    Ok(())
}

#[service(name = "trip.offer")]
async fn offer(_: &Context, airline: String) -> Result<Offer> {
    match airline.len() {
        0..6 => Err(Failure::permanent(format!("{airline} is sold out"))),
        letters => Ok(Offer { euros: 40 * u32::try_from(letters)?, airline }),
    }
}

/// Receives all offers, in the order in which the airlines were asked, and books the cheapest.
#[service(name = "trip.choose")]
async fn choose(ctx: &Context, rows: Vec<Row>, told: &Told) -> Result<()> {
    for row in rows.iter().filter(|row| !row.ok) {
        told.send(format!("no offer: {}", row.error.as_deref().unwrap_or_default()))?;
    }
    let offers = rows.into_iter().filter_map(|row| row.response);
    let best = offers.min_by_key(|offer| offer.euros).ok_or_else(|| Failure::permanent("no offer at all"))?;
    told.send(format!("the best offer: {} for {} EUR", best.airline, best.euros))?;
    ctx.chain(reserve::service(), best).then(pay::service()).then(ticket::service()).await?;
    Ok(())
}

#[service(name = "trip.reserve")]
async fn reserve(_: &Context, offer: Offer) -> Result<Offer> {
    Ok(offer)
}

/// Tries twice before it gives up.
#[service(name = "trip.pay", max_attempts = 2, backoff = "10ms")]
async fn pay(_: &Context, offer: Offer, card: &Card) -> Result<String> {
    let limit = card.0.load(std::sync::atomic::Ordering::Relaxed);
    if offer.euros > limit {
        return Err(Failure::new(format!("{} EUR are above the card's limit of {limit} EUR", offer.euros)));
    }
    Ok(offer.airline)
}

#[service(name = "trip.ticket")]
async fn ticket(_: &Context, airline: String) -> Result<String> {
    Ok(format!("a ticket of {airline}"))
}

/// Receives the response of the last step: chains have callbacks by convention like every call.
#[service]
async fn choose_async_callback(_: &Context, ticket: String, told: &Told) -> Result<()> {
    Ok(told.send(format!("booked: {ticket}"))?)
}

/// Is told which step failed.
#[service]
async fn choose_async_failure(_: &Context, report: FailureReport, told: &Told) -> Result<()> {
    let step = report.step.unwrap_or_default();
    let error = report.error.rsplit("): ").next().unwrap_or_default();
    Ok(told.send(format!("not booked, because {step} failed: {error}"))?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let explains = std::env::args().any(|argument| argument == "--explain");
    let card = Card(std::sync::Arc::new(100.into()));
    let (told, mut news) = mpsc::unbounded_channel::<String>();
    let runtime = Runtime::builder().provide(card.clone()).provide(told).start().await?;
    runtime
        .invoke_async(
            plan::service(),
            ["Aurora", "Zephyr Air", "Icarus", "Nimbus", "Kite"].map(String::from).to_vec(),
        )
        .await?;
    for _ in 0..3 {
        println!("{}", news.recv().await.unwrap_or_default());
    }

    // What failed is kept: here it is the chain, and it is run again once the cause is mended.
    for letter in runtime.list(Filter::dead().service("zato.chain")).await? {
        card.0.store(1_000, std::sync::atomic::Ordering::Relaxed);
        let again = runtime.run_again(letter.cid()).await?;
        println!("run again as {again}");
        println!("{}", news.recv().await.unwrap_or_default());
        println!("its outcome is {}", runtime.outcome(again).await?);
        if explains {
            println!("\n{}", runtime.explain(letter.cid()).await?);
        }
    }
    runtime.shutdown().await?;
    Ok(())
}
