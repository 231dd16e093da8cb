//! Rates: how many of a service start in a stretch of time.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zato_core::{Context, Failure, Result, service};
use zato_runtime::{Cancellation, Error, Runtime, Status, Waits};

use crate::builder::{builder, finish};
use crate::journal::Journal;

/// When the test began.
#[derive(Clone, Copy)]
struct Began(Instant);

/// Three at once where none has started for ten seconds, and one every three and a third of them.
#[service(name = "rate.slow", rate = "3/10s")]
async fn slow(ctx: &Context, name: String, journal: &Journal, began: &Began) -> Result<()> {
    journal.write(ctx, format!("{name} at {}", began.0.elapsed().as_millis()));
    if name == "fails" && ctx.attempt() == 1 { Err(Failure::new("again")) } else { Ok(()) }
}

#[service(name = "rate.free")]
async fn free(ctx: &Context, name: String, journal: &Journal, began: &Began) -> Result<String> {
    journal.write(ctx, format!("{name} at {}", began.0.elapsed().as_millis()));
    Ok(name)
}

async fn start(journal: &Journal) -> Result<Runtime, Error> {
    builder()
        .services([slow::service().erased(), free::service().erased()])
        .provide(journal.clone())
        .provide(Began(Instant::now()))
        .drain_limit(Duration::MAX)
        .start()
        .await
}

fn began(journal: &Journal, service: &str) -> Vec<String> {
    journal.of(service).into_iter().map(|line| line.text).collect()
}

/// The times at which those of the slow service began, in milliseconds.
fn times(journal: &Journal) -> Vec<u64> {
    let time = |text: &String| text.split_once(" at ")?.1.parse().ok();
    began(journal, slow::NAME).iter().map(|text| time(text).expect("a time")).collect()
}

/// Timers of tokio ring a millisecond late at the most.
#[track_caller]
fn assert_times(journal: &Journal, expected: &[u64]) {
    let times = times(journal);
    let is_close = |(time, expected): (&u64, &u64)| (*expected..=expected + 2).contains(time);
    assert!(
        times.len() == expected.len() && times.iter().zip(expected).all(is_close),
        "{times:?} instead of {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn as_many_start_as_may_and_the_others_in_their_order_later() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.pause(slow::NAME).await?;
    for name in ["a", "b", "c", "d", "e", "f"] {
        runtime.invoke_async(slow::service(), name).await?;
    }
    // It goes before what waits, and not before its time.
    runtime.invoke_async(slow::service(), "urgent").priority(1).await?;
    runtime.resume(slow::NAME).await?;
    // A shutdown waits for what waiting for its rate.
    finish(&runtime).await?;
    assert_times(&journal, &[0, 0, 0, 3_333, 6_666, 10_000, 13_333]);
    let names: String = began(&journal, slow::NAME).iter().map(|text| text[..1].to_owned()).collect();
    assert_eq!(names, "uabcdef");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_rate_is_used_up_holds_up_no_other() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = builder()
        .services([slow::service().erased(), free::service().erased()])
        .provide(journal.clone())
        .provide(Began(Instant::now()))
        .max_running(1)
        .drain_limit(Duration::MAX)
        .start()
        .await?;
    for name in ["a", "b", "c", "d", "e"] {
        runtime.invoke_async(slow::service(), name).await?;
    }
    for name in ["f", "g", "h", "i"] {
        runtime.invoke_async(free::service(), name).await?;
    }
    finish(&runtime).await?;
    assert_eq!(began(&journal, free::NAME), ["f at 0", "g at 0", "h at 0", "i at 0"]);
    assert_times(&journal, &[0, 0, 0, 3_333, 6_666]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_not_used_comes_back_and_no_more_than_that() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    for name in ["a", "b", "c"] {
        runtime.invoke_async(slow::service(), name).await?;
    }
    sleep(Duration::from_mins(1)).await;
    for name in ["d", "e", "f", "g"] {
        runtime.invoke_async(slow::service(), name).await?;
    }
    finish(&runtime).await?;
    assert_times(&journal, &[0, 0, 0, 60_000, 60_000, 60_000, 63_333]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn every_start_counts_also_a_retrys_and_a_callbacks() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.invoke_async(slow::service(), "fails").max_attempts(2).backoff("1s").await?;
    runtime.invoke_async(free::service(), "called back").callback(slow::service()).await?;
    sleep(Duration::from_secs(2)).await;
    assert_times(&journal, &[0, 0, 1_000]);
    // From the next on they are paid for by the time that has passed.
    runtime.invoke_async(slow::service(), "next").await?;
    finish(&runtime).await?;
    assert_times(&journal, &[0, 0, 1_000, 3_333]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_rate_says_so_and_costs_nothing_where_it_is_cancelled() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let mut cids = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        cids.push(runtime.invoke_async(slow::service(), name).await?);
    }
    sleep(Duration::from_secs(1)).await;
    let found = runtime.find(cids[3]).await?.expect("it is held");
    let Status::Waiting(Waits::Rate(rate)) = found.status else { panic!("{:?}", found.status) };
    assert_eq!((rate.starts, rate.per), (3, Duration::from_secs(10)));
    let page = runtime.explain(cids[3]).await?.to_string();
    assert!(page.contains("waiting for its rate: \"3/10s\" of rate.slow is used up for now"), "{page}");
    for cid in &cids[3..5] {
        assert_eq!(runtime.cancel(*cid).await?, Cancellation::Cancelled);
    }
    finish(&runtime).await?;
    assert_times(&journal, &[0, 0, 0, 3_333]);
    assert!(began(&journal, slow::NAME)[3].starts_with("f at "));
    Ok(())
}
