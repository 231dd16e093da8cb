//! What waits on a disk and is not held in memory: for its turn, for a key, for its time, or to be ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use zato_core::{Context, Result, service};
use zato_runtime::{Cancellation, Cid, Error, Filter, Outcome, Runtime, Status, StatusFilter, WaitReason};

use crate::builder::durable;
use crate::journal::Journal;

/// How many are held of each service.
const WINDOW: usize = 3;

#[service(name = "beyond.notes")]
async fn notes(ctx: &Context, text: String, journal: &Journal) -> Result<String> {
    journal.write(ctx, &text);
    Ok(text)
}

/// A bus on this file that holds next to nothing, and runs one at a time.
async fn start(url: &str, journal: &Journal) -> Result<Runtime, Error> {
    let builder = Runtime::builder().engine(url).services([notes::service().erased()]);
    builder.provide(journal.clone()).window(WINDOW).max_running(1).start().await
}

fn texts(journal: &Journal) -> Vec<String> {
    journal.lines().into_iter().map(|line| line.text).collect()
}

async fn waits_for(runtime: &Runtime, cid: Cid) -> Result<WaitReason, Error> {
    match runtime.find(cid).await?.expect("it is held").status {
        Status::Waiting(waits) => Ok(waits),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_lane_keeps_its_order_and_is_told_who_is_ahead() -> Result<(), Error> {
    let (url, journal) = (durable(), Journal::default());
    let runtime = start(&url, &journal).await?;
    runtime.pause(notes::NAME).await?;
    let mut firsts = Vec::new();
    for n in 0..60 {
        let key = ["a", "b", "c"][n % 3];
        let call = runtime.invoke_async(notes::service(), format!("{key}{n:02}")).concurrency_key(key);
        let cid = call.await?;
        if n < 3 {
            firsts.push(cid);
        } else if n == 59 {
            runtime.cancel(cid).await?;
        }
    }
    runtime.shutdown().await?;

    // What stands in the file alone stands there in its order, whoever reads it.
    let runtime = start(&url, &journal).await?;
    let waits = runtime.list(Filter::new().limit(1).stage(StatusFilter::Waiting)).await?;
    assert_eq!(waits_for(&runtime, waits[0].cid()).await?, WaitReason::Resume);
    runtime.resume(notes::NAME).await?;
    journal.wait_for(59).await;
    runtime.shutdown().await?;
    for key in ["a", "b", "c"] {
        let of_lane: Vec<_> = texts(&journal).into_iter().filter(|text| text.starts_with(key)).collect();
        assert!(of_lane.is_sorted(), "{of_lane:?}");
        assert_eq!(of_lane.len(), if key == "c" { 19 } else { 20 });
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_due_later_starts_then_and_not_before() -> Result<(), Error> {
    let (url, journal) = (durable(), Journal::default());
    let runtime = start(&url, &journal).await?;
    let began = Instant::now();
    // The last is called first.
    for n in (1..=40_u64).rev() {
        let call = runtime.invoke_async(notes::service(), format!("{n:02}"));
        call.delay(Duration::from_secs(n)).concurrency_key(format!("key {n}")).await?;
    }
    for n in 1..=40 {
        journal.wait_for(n).await;
        let late = began.elapsed().abs_diff(Duration::from_secs(n as u64));
        assert!(late < Duration::from_millis(100), "call {n} came after {:?}", began.elapsed());
    }
    let texts = texts(&journal);
    assert!(texts.is_sorted() && texts.len() == 40, "{texts:?}");
    runtime.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn what_is_not_started_in_time_expires_wherever_it_waits() -> Result<(), Error> {
    let (url, journal) = (durable(), Journal::default());
    let runtime = start(&url, &journal).await?;
    runtime.pause(notes::NAME).await?;
    let (began, mut cids) = (Instant::now(), Vec::new());
    for n in 1..=20_u64 {
        let call = runtime.invoke_async(notes::service(), "too late").expires_in(Duration::from_secs(n));
        cids.push(if n % 2 == 0 { call.concurrency_key("k").await? } else { call.await? });
    }
    for (cid, n) in cids.into_iter().zip(1..) {
        let outcome = runtime.outcome(cid).await?;
        assert!(matches!(outcome, Outcome::Expired(_)), "{outcome}");
        let late = began.elapsed().abs_diff(Duration::from_secs(n));
        assert!(late < Duration::from_millis(100), "call {n} ended after {:?}", began.elapsed());
    }
    // Nobody has the key any more.
    runtime.resume(notes::NAME).await?;
    runtime.invoke_async(notes::service(), "in time").concurrency_key("k").await?;
    journal.wait_for(1).await;
    runtime.shutdown().await
}

/// All that is held of a queue is cancelled: the others are not forgotten.
#[tokio::test]
async fn what_waits_behind_what_was_cancelled_starts() -> Result<(), Error> {
    let (url, journal) = (durable(), Journal::default());
    let runtime = start(&url, &journal).await?;
    runtime.pause(notes::NAME).await?;
    let mut cids = Vec::new();
    for n in 0..20 {
        cids.push(runtime.invoke_async(notes::service(), format!("{n:02}")).await?);
    }
    runtime.shutdown().await?;
    let runtime = start(&url, &journal).await?;
    runtime.resume(notes::NAME).await?;
    runtime.pause(notes::NAME).await?;
    let mut cancelled = 0;
    for cid in &cids[..15] {
        let outcome = runtime.cancel(*cid).await?;
        cancelled += usize::from(matches!(outcome, Cancellation::Cancelled));
    }
    runtime.resume(notes::NAME).await?;
    let mut completed = 0;
    for cid in &cids {
        completed += usize::from(runtime.outcome(*cid).await?.is_completed());
    }
    runtime.shutdown().await?;
    // What was handed out already, the resume has started: it ends by itself, or before its first step.
    assert!((5..=20 - cancelled).contains(&completed), "{completed} completed, {cancelled} cancelled");
    assert_eq!(texts(&journal).len(), completed, "the others, once");
    Ok(())
}

/// Says that the handler runs, and lets it return.
#[derive(Debug, Clone, Default)]
struct Gate {
    runs: Arc<Notify>,
    opens: Arc<Notify>,
}

#[service(name = "beyond.gate")]
async fn gate(_: &Context, (): (), gate: &Gate) -> Result<()> {
    gate.runs.notify_one();
    gate.opens.notified().await;
    Ok(())
}

/// A queue that is not short is read again for what stands beyond it and has a higher priority.
#[tokio::test]
async fn what_comes_while_its_service_is_paused_starts_by_its_priority() -> Result<(), Error> {
    let (url, journal, gate_) = (durable(), Journal::default(), Gate::default());
    let builder =
        Runtime::builder().engine(url).services([notes::service().erased(), gate::service().erased()]);
    let builder = builder.provide(journal.clone()).provide(gate_.clone());
    let runtime = builder.window(WINDOW).max_running(1).start().await?;
    runtime.invoke_async(gate::service(), ()).await?;
    gate_.runs.notified().await;
    for n in 0..WINDOW {
        runtime.invoke_async(notes::service(), format!("low {n}")).await?;
    }
    runtime.pause(notes::NAME).await?;
    runtime.invoke_async(notes::service(), "higher").priority(1).await?;
    runtime.invoke_async(notes::service(), "highest").priority(2).await?;
    runtime.resume(notes::NAME).await?;
    runtime.invoke_async(notes::service(), "high").priority(1).await?;
    gate_.opens.notify_one();
    journal.wait_for(WINDOW + 3).await;
    runtime.shutdown().await?;
    assert_eq!(texts(&journal), ["highest", "higher", "high", "low 0", "low 1", "low 2"]);
    Ok(())
}
