//! The services of a bus under load: they do what they are told, and write what they see into the journal.

use std::time::Duration;

use serde_json::Value;
use zato_core::{Channel, Context, Failure, FailureReport, Registration, Result, service};

use crate::door::Door;
use crate::journal::{Journal, Line};
use crate::script::{Done, End, LINE, Work};

pub(crate) fn all() -> [Registration; 13] {
    [
        work::service().erased(),
        work_async_callback::service().erased(),
        work_async_failure::service().erased(),
        twin::service().erased(),
        plain::service().erased(),
        line::service().erased(),
        ranked::service().erased(),
        sturdy::service().erased(),
        reply::service().erased(),
        report::service().erased(),
        last::service().erased(),
        step::service().erased(),
        poison::service().erased(),
    ]
}

#[service(name = "crash.work", max_attempts = 3, backoff = "5ms..20ms")]
async fn work(ctx: &Context, work: Work, journal: &Journal) -> Result<Done> {
    act(ctx, work, journal).await
}

/// What `crash.work` calls and names no callback for comes here, or below.
#[service]
async fn work_async_callback(ctx: &Context, _reply: String, journal: &Journal) -> Result<()> {
    drop(Attempt::begin(ctx, journal));
    Ok(())
}

#[service]
async fn work_async_failure(ctx: &Context, _report: FailureReport, journal: &Journal) -> Result<()> {
    drop(Attempt::begin(ctx, journal));
    Ok(())
}

/// Two at a time.
#[service(name = "crash.twin", max_attempts = 2, backoff = "2ms", concurrency = 2)]
async fn twin(ctx: &Context, work: Work, journal: &Journal) -> Result<Done> {
    act(ctx, work, journal).await
}

/// Has one attempt, but for those that its process takes from it.
#[service(name = "crash.plain")]
async fn plain(ctx: &Context, work: Work, journal: &Journal) -> Result<Done> {
    act(ctx, work, journal).await
}

/// One at a time, in the order in which they are called: as if all had one key.
#[service(name = "crash.line", concurrency = 1)]
async fn line(ctx: &Context, work: Work, journal: &Journal) -> Result<Done> {
    act(ctx, work, journal).await
}

/// Runs one at a time, the highest priority first.
#[service(name = "crash.ranked", concurrency = 1)]
async fn ranked(ctx: &Context, work: Work, journal: &Journal) -> Result<Done> {
    act(ctx, work, journal).await
}

/// The value is [`STURDY_LOSSES`](crate::script::STURDY_LOSSES).
#[service(name = "crash.sturdy", max_losses = 5)]
async fn sturdy(ctx: &Context, work: Work, journal: &Journal) -> Result<Done> {
    act(ctx, work, journal).await
}

#[service(name = "crash.reply")]
async fn reply(ctx: &Context, _reply: String, journal: &Journal) -> Result<()> {
    drop(Attempt::begin(ctx, journal));
    Ok(())
}

#[service(name = "crash.report")]
async fn report(ctx: &Context, _report: FailureReport, journal: &Journal) -> Result<()> {
    drop(Attempt::begin(ctx, journal));
    Ok(())
}

#[service(name = "crash.last")]
async fn last(ctx: &Context, _rows: Vec<Value>, journal: &Journal) -> Result<()> {
    drop(Attempt::begin(ctx, journal));
    Ok(())
}

#[service(name = "crash.step")]
async fn step(ctx: &Context, done: Done, journal: &Journal) -> Result<Done> {
    let _attempt = Attempt::begin(ctx, journal);
    if done.fails_at == Some(done.steps) {
        return Err(Failure::permanent(format!("step {} fails", done.steps)));
    }
    Ok(Done { steps: done.steps + 1, ..done })
}

#[service(name = "crash.poison")]
async fn poison(ctx: &Context, _work: Work, journal: &Journal) -> Result<()> {
    let _attempt = Attempt::begin(ctx, journal);
    std::process::abort()
}

async fn act(ctx: &Context, work: Work, journal: &Journal) -> Result<Done> {
    let _attempt = Attempt::begin(ctx, journal);
    for what in &work.does {
        Door::Inside(ctx).does(journal, what).await?;
    }
    match work.ends {
        End::FailsUntil(last) if ctx.attempt() <= last => Err(Failure::new("not yet")),
        End::FailsForGood => Err(Failure::permanent("never")),
        End::PanicsUntil(last) if ctx.attempt() <= last => panic!("not yet"),
        _ => Ok(Done { id: work.id, steps: 1, fails_at: work.fails_at }),
    }
}

/// An attempt that is under way. However it ends, but for the death of its process, the journal says so.
struct Attempt<'a> {
    ctx: &'a Context,
    journal: &'a Journal,
}

impl<'a> Attempt<'a> {
    fn begin(ctx: &'a Context, journal: &'a Journal) -> Self {
        let lane = ctx.invocation().options.as_deref().and_then(|options| options.concurrency_key.clone());
        let lane = lane.or((ctx.service() == LINE).then(|| LINE.into()));
        journal.write(&Line::Began {
            cid: ctx.cid().to_string(),
            attempt: ctx.attempt(),
            service: ctx.service().to_owned(),
            lane: lane.map(String::from),
            is_inside: ctx.channel() == Channel::Invoke,
        });
        Self { ctx, journal }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.journal.write(&Line::Left { cid: self.ctx.cid().to_string(), attempt: self.ctx.attempt() });
    }
}

/// For a handler's waits.
pub(crate) async fn wait(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
