//! Rates: how many of a service start in a stretch of time.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zato_core::{Context, Failure, Result, service};
use zato_runtime::{Builder, Cancellation, Error, Runtime, Status, WaitReason};

use crate::builder::{builder, durable, finish};
use crate::journal::{Journal, Line};

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

#[track_caller]
fn assert_times(journal: &Journal, expected: &[u64]) {
    assert_close(&times(journal), expected);
}

/// Timers of tokio ring a millisecond late at the most.
#[track_caller]
fn assert_close(times: &[u64], expected: &[u64]) {
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
    let Status::Waiting(WaitReason::Rate(rate)) = found.status else { panic!("{:?}", found.status) };
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

/// The service that was `rate.slow`.
#[service(name = "rate.renamed", formerly = ["rate.slow"], rate = "3/10s")]
async fn renamed(ctx: &Context, name: String, journal: &Journal, began: &Began) -> Result<()> {
    slow(ctx, name, journal, began).await
}

/// Starts a bus on a file, calls the service of this name so often, waits until all have ended, and ends the bus. Returns
/// how many milliseconds after `began` each of the calls began.
async fn starts(builder: Builder, service: &str, calls: usize, began: Instant) -> Result<Vec<u64>, Error> {
    let journal = Journal::default();
    let erased =
        if service == renamed::NAME { renamed::service().erased() } else { slow::service().erased() };
    let runtime = builder
        .services([erased, free::service().erased()])
        .provide(journal.clone())
        .provide(Began(began))
        .start()
        .await?;
    let mut cids = Vec::new();
    for _ in 0..calls {
        cids.push(runtime.invoke_async(service, "x").await?);
    }
    cids.push(runtime.invoke_async(free::service(), "x").await?);
    for cid in cids {
        assert!(runtime.outcome(cid).await?.is_completed());
    }
    runtime.shutdown().await?;
    let time = |line: &Line| line.text.split_once(" at ")?.1.parse().ok();
    Ok(journal.of(service).iter().map(|line| time(line).expect("a time")).collect())
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_was_used_up_before_a_restart_is_used_up_after_it() -> Result<(), Error> {
    let (url, began) = (durable(), Instant::now());
    // Builders that are made together have one beginning of time.
    let [first, second, third, fourth] = [(); 4].map(|()| Runtime::builder().engine(&url));
    assert_close(&starts(first, slow::NAME, 3, began).await?, &[0, 0, 0]);
    sleep(Duration::from_secs(1)).await;
    // What has come back since the last start may be used.
    assert_close(&starts(second, slow::NAME, 2, began).await?, &[3_333, 6_666]);
    sleep(Duration::from_secs(5)).await;
    assert_close(&starts(third, renamed::NAME, 2, began).await?, &[11_667, 13_333]);
    sleep(Duration::from_secs(11)).await;
    let last = starts(fourth, renamed::NAME, 4, began).await?;
    assert_close(&last, &[24_334, 24_334, 24_334, 27_667]);
    // Nothing is written for services without a rate.
    let file = rusqlite::Connection::open(url.trim_start_matches("sqlite:")).expect("it opens");
    let sql = "SELECT group_concat(name) FROM (SELECT name FROM service WHERE last_started IS NOT NULL ORDER BY name)";
    let written: String = file.query_row(sql, [], |row| row.get(0)).expect("a row");
    assert_eq!(written, "rate.renamed,rate.slow");
    Ok(())
}

/// A builder that is made later begins its wall clock anew, as a person does who sets the clock back.
#[tokio::test(start_paused = true)]
async fn a_last_start_that_seems_to_lie_ahead_counts_as_one_of_the_restart() -> Result<(), Error> {
    let url = durable();
    let first = Runtime::builder().engine(&url);
    sleep(Duration::from_hours(1)).await;
    assert_close(&starts(first, slow::NAME, 3, Instant::now()).await?, &[0, 0, 0]);
    let second = Runtime::builder().engine(&url);
    sleep(Duration::from_mins(1)).await;
    assert_close(&starts(second, slow::NAME, 2, Instant::now()).await?, &[3_333, 6_666]);
    Ok(())
}
