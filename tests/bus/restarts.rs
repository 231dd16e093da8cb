//! What a bus on a disk leaves to the next one, and what that makes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use zato_core::{Context, Failure, Result, service};
use zato_runtime::{Builder, Cid, Error, Filter, Outcome, Runtime, Status, WaitReason};

use crate::builder::durable;
use crate::journal::Journal;

/// Says when it runs, and how often it has.
#[derive(Clone, Default)]
struct Began(Arc<Notify>, Arc<AtomicUsize>);

/// Never ends in the first process.
#[service(name = "restarts.hangs", max_attempts = 1)]
async fn hangs(ctx: &Context, began: &Began) -> Result<u32> {
    let is_first = began.1.fetch_add(1, Ordering::SeqCst) == 0;
    ctx.invoke_async("restarts.notes", "a child").await?;
    began.0.notify_one();
    if is_first {
        std::future::pending::<()>().await;
    }
    Ok(ctx.attempt())
}

#[service(name = "restarts.notes")]
async fn notes(ctx: &Context, text: String, journal: &Journal) -> Result<String> {
    journal.write(ctx, &text);
    Ok(text)
}

#[service(name = "restarts.fails")]
async fn fails(ctx: &Context, text: String, journal: &Journal) -> Result<String> {
    journal.write(ctx, &text);
    Err(Failure::permanent(text))
}

#[service(name = "restarts.told")]
async fn told(ctx: &Context, report: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, report);
    Ok(())
}

/// A place on a disk, and what all buses there write to. All builders have one beginning of time.
struct Place {
    url: String,
    left: Vec<Builder>,
    journal: Journal,
    began: Began,
}

impl Place {
    fn new() -> Self {
        let url = durable();
        let left = (0..3).map(|_| Runtime::builder().engine(&url)).collect();
        Self { url, left, journal: Journal::default(), began: Began::default() }
    }

    async fn start(&mut self) -> Result<Runtime, Error> {
        let services = [
            hangs::service().erased(),
            notes::service().erased(),
            fails::service().erased(),
            told::service().erased(),
        ];
        let builder = self.left.pop().expect("another start").services(services);
        let builder = builder.provide(self.journal.clone()).provide(self.began.clone());
        builder.drain_limit(Duration::from_secs(1)).start().await
    }

    fn texts(&self) -> Vec<String> {
        self.journal.lines().into_iter().map(|line| line.text).collect()
    }
}

async fn status(runtime: &Runtime, cid: Cid) -> Result<Status, Error> {
    Ok(runtime.find(cid).await?.expect("it is held").status)
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_off_runs_again_as_a_new_attempt_and_does_not_repeat_its_calls() -> Result<(), Error> {
    let mut place = Place::new();
    let runtime = place.start().await?;
    let cid = runtime.invoke_async(hangs::service(), ()).callback(notes::NAME).await?;
    place.began.0.notified().await;
    runtime.shutdown().await?;
    let error = runtime.outcome(cid).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "nobody waits for a bus that is closed: {error}");

    let runtime = place.start().await?;
    assert_eq!(
        runtime.outcome(cid).await?.to_string(),
        "Completed: 2",
        "it had one attempt, and it did not count"
    );
    let found = runtime.find(cid).await?.expect("it is held");
    let before = found.before.expect("an attempt was cut off");
    assert_eq!((before.attempts, before.failed, before.losses), (1, 0, 0));
    place.journal.wait_for(2).await;
    runtime.shutdown().await?;
    let mut texts = place.texts();
    texts.sort();
    assert_eq!(texts, ["2", "a child"], "its child once, and its callback once");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn timers_ring_when_they_are_due_whichever_process_sees_it() -> Result<(), Error> {
    let mut place = Place::new();
    let runtime = place.start().await?;
    let since = Instant::now();
    let call = |text: &str| runtime.invoke_async(notes::service(), text).on_failure(told::NAME);
    let (hour, minute) = (Duration::from_hours(1), Duration::from_mins(1));
    let late = call("late").delay(hour).await?;
    let missed = call("missed").delay(minute).await?;
    let expired = call("expired").delay(hour).expires_in(minute).await?;
    let timed_out = call("timed out").delay(Duration::from_secs(90)).timeout(hour).max_attempts(2).await?;
    runtime.shutdown().await?;
    sleep(2 * minute).await;

    let runtime = place.start().await?;
    assert!(matches!(runtime.outcome(expired).await?, Outcome::Expired(_)));
    for cid in [missed, timed_out] {
        assert!(runtime.outcome(cid).await?.is_completed());
    }
    assert_eq!(since.elapsed().as_secs() / 60, 2, "at once");
    assert!(matches!(status(&runtime, late).await?, Status::Waiting(WaitReason::Until(_))));
    assert!(runtime.outcome(late).await?.is_completed());
    assert_eq!(since.elapsed().as_secs() / 60, 60);
    runtime.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passed_meanwhile_has_passed() -> Result<(), Error> {
    let mut place = Place::new();
    let runtime = place.start().await?;
    runtime.pause(notes::NAME).await?;
    let call = runtime.invoke_async(notes::service(), "x").on_failure(told::NAME);
    let cid = call.deadline(std::time::SystemTime::now() + Duration::from_mins(1)).await?;
    runtime.shutdown().await?;
    sleep(Duration::from_mins(2)).await;
    let runtime = place.start().await?;
    let outcome = runtime.outcome(cid).await?;
    assert!(matches!(outcome, Outcome::TimedOut(_)), "{outcome}");
    place.journal.wait_for(1).await;
    assert!(place.texts()[0].contains("TimedOut"), "its failure callback has run");
    runtime.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_stays_so_and_keys_keep_their_order() -> Result<(), Error> {
    let mut place = Place::new();
    let runtime = place.start().await?;
    runtime.pause(notes::NAME).await?;
    let mut cids = Vec::new();
    for text in ["a", "b", "c"] {
        cids.push(runtime.invoke_async(notes::service(), text).concurrency_key("k").await?);
    }
    runtime.shutdown().await?;
    let runtime = place.start().await?;
    cids.push(runtime.invoke_async(notes::service(), "d").concurrency_key("k").priority(5).await?);
    sleep(Duration::from_secs(1)).await;
    assert!(matches!(status(&runtime, cids[0]).await?, Status::Waiting(WaitReason::Resume)));
    runtime.shutdown().await?;
    let runtime = place.start().await?;
    runtime.resume(notes::NAME).await?;
    for cid in cids {
        assert!(runtime.outcome(cid).await?.is_completed());
    }
    assert_eq!(place.texts(), ["a", "b", "c", "d"]);
    runtime.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn a_fan_in_knows_what_had_ended_before() -> Result<(), Error> {
    let mut place = Place::new();
    let runtime = place.start().await?;
    runtime.pause(notes::NAME).await?;
    let group = runtime.fan_out([(fails::NAME, "no"), (notes::NAME, "yes")]).on_final(told::NAME).await?;
    place.journal.wait_for(1).await;
    sleep(Duration::from_secs(1)).await;
    assert!(matches!(status(&runtime, group).await?, Status::Open(1)));
    runtime.shutdown().await?;
    let runtime = place.start().await?;
    assert!(matches!(status(&runtime, group).await?, Status::Open(1)));
    runtime.resume(notes::NAME).await?;
    let rows: Vec<serde_json::Value> =
        runtime.outcome(group).await?.payload().expect("it completes").decode()?;
    assert_eq!((&rows[0]["ok"], &rows[1]["ok"]), (&false.into(), &true.into()));
    place.journal.wait_for(3).await;
    assert_eq!(place.journal.of(told::NAME).len(), 1);
    runtime.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn idempotency_keys_hold_and_dead_letters_can_be_run_again() -> Result<(), Error> {
    let mut place = Place::new();
    let runtime = place.start().await?;
    let call = |runtime: &Runtime| {
        let runtime = runtime.clone();
        async move { runtime.invoke_async(fails::service(), "x").idempotency_key("k").await }
    };
    let cid = call(&runtime).await?;
    assert!(!runtime.outcome(cid).await?.is_completed());
    runtime.shutdown().await?;

    let runtime = place.start().await?;
    assert_eq!(call(&runtime).await?, cid, "it is the same call");
    let dead = runtime.list(Filter::dead()).await?;
    assert_eq!(dead.iter().map(zato_runtime::InvocationInfo::cid).collect::<Vec<_>>(), [cid]);
    let again = runtime.run_again(cid).await?;
    assert!(!runtime.outcome(again).await?.is_completed());
    runtime.shutdown().await?;

    let runtime = place.start().await?;
    assert!(runtime.run_again(cid).await.is_err(), "it has been run again");
    let dead = runtime.list(Filter::dead()).await?;
    assert_eq!(dead.iter().map(zato_runtime::InvocationInfo::cid).collect::<Vec<_>>(), [again]);
    assert_eq!(place.texts(), ["x", "x"]);
    runtime.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn a_second_bus_on_a_file_is_refused_and_told_whose_it_is() -> Result<(), Error> {
    let mut place = Place::new();
    let runtime = place.start().await?;
    let error = Runtime::builder().engine(&place.url).services([]).start().await.unwrap_err().to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    runtime.shutdown().await?;
    place.start().await?.shutdown().await
}
