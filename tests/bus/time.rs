//! When an invocation starts, when it need not start any more, and when it must have ended.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use zato_core::{CallError, Context, FailureReport, Result, service};
use zato_runtime::{Error, Runtime};

use crate::builder::{builder, finish, is_durable};
use crate::journal::Journal;

/// When the test began.
#[derive(Clone, Copy)]
struct Began(Instant);

#[service(name = "time.notes")]
async fn notes(ctx: &Context, text: String, journal: &Journal, began: &Began) -> Result<()> {
    journal.write(ctx, format!("{text} at {}", began.0.elapsed().as_secs()));
    Ok(())
}

#[service(name = "time.sleeps")]
async fn sleeps(_: &Context, seconds: u64) -> Result<u64> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok(seconds)
}

/// Calls what sleeps for 100 seconds, in some way.
#[service(name = "time.calls")]
async fn calls(ctx: &Context, how: String, journal: &Journal) -> Result<()> {
    let call = ctx.invoke_async(sleeps::service(), 100);
    let answer = match how.as_str() {
        "synchronously" => ctx.invoke(sleeps::service(), 100).await.map(|_| ctx.cid()),
        "later" => call.delay(Duration::from_mins(1)).await,
        "anew" => call.delay(Duration::from_mins(1)).new_root().on_failure(failed::NAME).await,
        _ => call.on_failure(failed::NAME).await,
    };
    match answer {
        Ok(cid) => journal.write(ctx, cid),
        Err(error) => journal.write(ctx, error),
    }
    Ok(())
}

#[service(name = "time.failed")]
async fn failed(ctx: &Context, report: FailureReport, journal: &Journal, began: &Began) -> Result<()> {
    assert_eq!(ctx.deadline(), None, "a callback has a budget of its own");
    journal.write(ctx, format!("{}: {} at {}", report.outcome, report.error, began.0.elapsed().as_secs()));
    Ok(())
}

async fn start(journal: &Journal) -> Result<Runtime, Error> {
    builder()
        .services([
            notes::service().erased(),
            sleeps::service().erased(),
            calls::service().erased(),
            failed::service().erased(),
        ])
        .provide(journal.clone())
        .provide(Began(Instant::now()))
        .max_running(2)
        .drain_limit(Duration::MAX)
        .start()
        .await
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn what_is_delayed_starts_when_it_is_due() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.invoke_async(notes::service(), "third").delay(seconds(30)).await?;
    runtime.invoke_async(notes::service(), "first").await?;
    runtime.invoke_async(notes::service(), "fourth").at(SystemTime::now() + seconds(3_600)).await?;
    runtime.invoke_async(notes::service(), "second").delay(seconds(10)).await?;
    finish(&runtime).await?;
    let texts: Vec<_> = journal.lines().into_iter().map(|line| line.text).collect();
    assert_eq!(texts[..3], ["first at 0", "second at 10", "third at 30"]);
    assert!(["fourth at 3599", "fourth at 3600"].contains(&&*texts[3]), "{}", texts[3]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_time_that_has_passed_is_now_and_one_out_of_reach_is_never() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.invoke_async(notes::service(), "past").at(SystemTime::UNIX_EPOCH).await?;
    let never =
        runtime.invoke_async(notes::service(), "never").delay(Duration::MAX).expires_in(seconds(5)).await?;
    assert!(runtime.outcome(never).await?.to_string().starts_with("Expired"));
    finish(&runtime).await?;
    assert_eq!(journal.lines()[0].text, "past at 0");
    assert_eq!(journal.lines().len(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_has_not_started_in_time_expires_and_what_has_does_not() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let mut sleeping = Vec::new();
    for _ in 0..2 {
        sleeping.push(runtime.invoke_async(sleeps::service(), 60).expires_in(seconds(10)).await?);
    }
    // Both places are taken for a minute.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let late =
        runtime.invoke_async(sleeps::service(), 1).expires_in(seconds(20)).on_failure(failed::NAME).await?;
    let patient = runtime.invoke_async(notes::service(), "patient").expires_in(seconds(90)).await?;
    assert_eq!(runtime.outcome(late).await?.to_string(), "Expired: it was not started before it expired");
    for cid in sleeping.into_iter().chain([patient]) {
        assert!(runtime.outcome(cid).await?.is_completed());
    }
    finish(&runtime).await?;
    let texts: Vec<_> = journal.lines().into_iter().map(|line| line.text).collect();
    assert!(texts.contains(&"patient at 60".to_owned()), "{texts:?}");
    // The callback waits for a place like everyone else.
    assert!(texts.contains(&"Expired: it was not started before it expired at 60".to_owned()), "{texts:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_waits_past_its_deadline_times_out() -> Result<(), Error> {
    let runtime = start(&Journal::default()).await?;
    for _ in 0..2 {
        runtime.invoke_async(sleeps::service(), 60).await?;
    }
    let began = Instant::now();
    let cid = runtime.invoke_async(sleeps::service(), 1).deadline(SystemTime::now() + seconds(5)).await?;
    let outcome = runtime.outcome(cid).await?;
    assert_eq!(outcome.to_string(), "TimedOut: its deadline passed before its first attempt");
    assert!(began.elapsed() < seconds(6));
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_inherited_by_calls_and_not_by_callbacks() -> Result<(), Error> {
    for how in ["asynchronously", "synchronously"] {
        let journal = Journal::default();
        let runtime = start(&journal).await?;
        let deadline = SystemTime::now() + seconds(30);
        let call = runtime.invoke_async(calls::service(), how).on_failure(failed::NAME).deadline(deadline);
        let outcome = runtime.outcome(call.await?).await?;
        assert_eq!(outcome.is_completed(), how == "asynchronously", "{how}: {outcome}");
        finish(&runtime).await?;
        let failed = journal.of(failed::NAME);
        assert_eq!(failed.len(), 1, "{how}");
        assert!(
            failed[0].text.starts_with("TimedOut: its deadline passed while it ran at "),
            "{}",
            failed[0].text
        );
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_would_start_after_the_deadline_is_refused_and_told_of_new_root() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    for how in ["later", "anew"] {
        let cid =
            runtime.invoke_async(calls::service(), how).deadline(SystemTime::now() + seconds(30)).await?;
        assert!(runtime.outcome(cid).await?.is_completed());
    }
    finish(&runtime).await?;
    let lines = journal.of(calls::NAME);
    assert!(lines[0].text.contains("`.new_root()`"), "{}", lines[0].text);
    assert!(lines[1].text.parse::<zato_core::Cid>().is_ok(), "{}", lines[1].text);
    let error = CallError::DueAfterDeadline { service: "a.b".to_owned(), is_inherited: false };
    assert!(error.is_permanent());
    Ok(())
}

/// Deadlines and delays far apart, in any order, are kept one by one.
#[tokio::test(start_paused = true)]
async fn ten_thousand_timers_ring_in_their_order() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    // Each is on its disk before the next.
    let count = if is_durable() { 1_000 } else { 10_000 };
    for number in 0..count {
        let after = number * 7_919 % count;
        runtime.invoke_async(notes::service(), after.to_string()).delay(seconds(after)).await?;
    }
    finish(&runtime).await?;
    let lines = journal.lines();
    assert_eq!(lines.len() as u64, count);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line.text, format!("{number} at {number}"));
    }
    Ok(())
}
