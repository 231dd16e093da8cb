//! The services of the table: what is called, who calls it, and who hears of it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer, ser};
use tokio::sync::Semaphore;
use zato_core::{Cid, Context, Failure, Payload, Registration, Result, service};

use super::Combination;
use crate::journal::Journal;

/// What one attempt of a target does.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Do {
    Succeed,
    SucceedLater,
    Fail,
    FailForGood,
    /// Asks to be run again in so many seconds.
    Retry(u64),
    Panic,
    PanicLater,
    /// Returns what is larger than may be.
    TooMuch,
    /// Returns what cannot be written.
    Unwritable,
    /// Waits until the gate is open.
    Hold,
    /// Waits until it is told to stop, and then does another thing.
    Told(Then),
}

/// What an attempt does that was told to stop.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Then {
    Succeed,
    Fail,
    Panic,
    GoOn,
}

/// A response, or what cannot be one.
pub(super) enum Response {
    Text(String),
    Unwritable,
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Unwritable => Err(ser::Error::custom("cannot be written")),
        }
    }
}

/// What keeps those that hold a place from ending.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(super) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(super) fn open(&self) {
        self.0.add_permits(1_000);
    }
}

/// The largest response that the table's runtimes take.
pub(super) const MAX_PAYLOAD: usize = 10_000;

async fn act(ctx: &Context, script: &[Do], gate: &Gate) -> Result<Response> {
    match script[ctx.attempt() as usize - 1] {
        Do::Succeed => {}
        Do::SucceedLater => tokio::time::sleep(Duration::from_secs(1)).await,
        Do::Fail => Err("x".parse::<u8>().unwrap_err())?,
        Do::FailForGood => return Err(Failure::permanent("for good")),
        Do::Retry(seconds) => return Err(Failure::retry_after(Duration::from_secs(seconds)).because("busy")),
        Do::Panic => panic!("at once"),
        Do::PanicLater => {
            tokio::task::yield_now().await;
            panic!("later");
        }
        Do::TooMuch => return Ok(Response::Text("x".repeat(MAX_PAYLOAD + 1))),
        Do::Unwritable => return Ok(Response::Unwritable),
        Do::Hold => gate.0.acquire().await?.forget(),
        Do::Told(then) => {
            ctx.cancelled().await;
            match then {
                Then::Succeed => {}
                Then::Fail => return Err(Failure::new("interrupted")),
                Then::Panic => panic!("interrupted"),
                Then::GoOn => std::future::pending().await,
            }
        }
    }
    Ok(Response::Text("done".to_owned()))
}

#[service(name = "table.target")]
async fn target(ctx: &Context, script: Vec<Do>, gate: &Gate) -> Result<Response> {
    act(ctx, &script, gate).await
}

/// One at a time.
#[service(name = "table.narrow", concurrency = 1)]
async fn narrow(ctx: &Context, script: Vec<Do>, gate: &Gate) -> Result<Response> {
    act(ctx, &script, gate).await
}

/// One an hour.
#[service(name = "table.rare", rate = "1/h")]
async fn rare(ctx: &Context, script: Vec<Do>, gate: &Gate) -> Result<Response> {
    act(ctx, &script, gate).await
}

/// For a chain, whose steps have the limits of their services alone.
#[service(name = "table.timed", timeout = "2s")]
async fn timed(ctx: &Context, script: Vec<Do>, gate: &Gate) -> Result<Response> {
    act(ctx, &script, gate).await
}

#[service(name = "table.number")]
async fn number(_: &Context, number: u64) -> Result<u64> {
    Ok(number)
}

/// Makes the call of the combination, and has no callbacks by convention.
#[service(name = "table.alone")]
async fn alone(ctx: &Context, combination: &Combination) -> Result<Cid> {
    Ok(combination.call_from_handler(ctx).await?)
}

/// Makes the call of the combination, and has callbacks by convention.
#[service(name = "table.paired")]
async fn paired(ctx: &Context, combination: &Combination) -> Result<Cid> {
    Ok(combination.call_from_handler(ctx).await?)
}

#[service(name = "table.paired-async-callback")]
async fn by_convention(ctx: &Context, reply: Payload, journal: &Journal) -> Result<()> {
    journal.write(ctx, reply);
    Ok(())
}

#[service(name = "table.paired-async-failure")]
async fn failure_by_convention(ctx: &Context, report: Payload, journal: &Journal) -> Result<()> {
    journal.write(ctx, report);
    Ok(())
}

#[service(name = "table.reply")]
async fn reply(ctx: &Context, reply: Payload, journal: &Journal) -> Result<()> {
    journal.write(ctx, reply);
    Ok(())
}

#[service(name = "table.other-reply")]
async fn other_reply(ctx: &Context, reply: Payload, journal: &Journal) -> Result<()> {
    journal.write(ctx, reply);
    Ok(())
}

#[service(name = "table.report")]
async fn report(ctx: &Context, report: Payload, journal: &Journal) -> Result<()> {
    journal.write(ctx, report);
    Ok(())
}

#[service(name = "table.other-report")]
async fn other_report(ctx: &Context, report: Payload, journal: &Journal) -> Result<()> {
    journal.write(ctx, report);
    Ok(())
}

pub(super) fn services() -> [Registration; 13] {
    [
        target::service().erased(),
        narrow::service().erased(),
        rare::service().erased(),
        timed::service().erased(),
        number::service().erased(),
        alone::service().erased(),
        paired::service().erased(),
        by_convention::service().erased(),
        failure_by_convention::service().erased(),
        reply::service().erased(),
        other_reply::service().erased(),
        report::service().erased(),
        other_report::service().erased(),
    ]
}
