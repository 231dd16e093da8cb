//! Handlers that block their threads: their limits hold all the same, and what they hold comes free when they let go.
//!
//! The clock is the machine's: a thread that blocks does not see a test's. Nothing here depends on how long a thing
//! takes, only on what comes before what.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use zato_core::{Context, FailureReport, Result, service};
use zato_runtime::{Cancellation, Error, Outcome, Runtime, Status, WaitReason};

use crate::builder::{builder, finish, is_durable};
use crate::journal::Journal;

/// Blocks the thread of a handler until the test lets go.
#[derive(Clone)]
struct Gate {
    begun: Sender<u32>,
    open: Arc<Mutex<Receiver<()>>>,
}

/// The test's side of a gate.
struct Keeper {
    begun: Receiver<u32>,
    open: Sender<()>,
}

fn gate() -> (Gate, Keeper) {
    let (begun, has_begun) = channel();
    let (open, is_open) = channel();
    let gate = Gate { begun, open: Arc::new(Mutex::new(is_open)) };
    (gate, Keeper { begun: has_begun, open })
}

/// Blocks in its first attempt.
#[service(name = "blocking.blocks", concurrency = 1)]
async fn blocks(ctx: &Context, yields: bool, gate: &Gate) -> Result<u32> {
    if yields {
        tokio::task::yield_now().await;
    }
    gate.begun.send(ctx.attempt())?;
    if ctx.attempt() == 1 {
        gate.open.lock().unwrap_or_else(PoisonError::into_inner).recv()?;
    }
    Ok(ctx.attempt())
}

#[service(name = "blocking.report")]
async fn report(ctx: &Context, report: FailureReport, journal: &Journal) -> Result<()> {
    journal.write(ctx, report.outcome);
    Ok(())
}

async fn start(journal: &Journal, gate: Gate) -> Result<Runtime, Error> {
    builder()
        .services([blocks::service().erased(), report::service().erased()])
        .provide(journal.clone())
        .provide(gate)
        .cancel_grace(Duration::from_millis(10))
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_over_at_its_limit_also_if_its_handler_blocks() -> Result<(), Error> {
    for yields in [false, true] {
        let (journal, (gate, keeper)) = (Journal::default(), gate());
        let runtime = start(&journal, gate).await?;
        let call = runtime.invoke_async(blocks::service(), yields).timeout(Duration::from_millis(50));
        let cid = call.on_failure(report::NAME).await?;
        let second = runtime.invoke_async(blocks::service(), yields).await?;
        let outcome = runtime.outcome(cid).await?;
        assert!(matches!(outcome, Outcome::TimedOut(_)), "{outcome}");
        assert_eq!(journal.wait_for(1).await[0].text, "TimedOut", "its failure callback has run");
        let page = runtime.explain(cid).await?.to_string();
        assert!(page.contains("over time, still running"), "{page}");
        // Its place is not free before it lets go of its thread.
        let found = runtime.find(second).await?.expect("it is held");
        assert!(matches!(found.status, Status::Waiting(WaitReason::Concurrency(1))), "{found:?}");
        // For itself, and for the second.
        keeper.open.send(()).expect("the handler waits");
        keeper.open.send(()).expect("the handler waits");
        assert!(runtime.outcome(second).await?.is_completed());
        let page = runtime.explain(cid).await?.to_string();
        assert!(!page.contains("still running"), "{page}");
        assert_eq!(runtime.outcome(cid).await?, outcome, "what it returned late changes nothing");
        finish(&runtime).await?;
        assert_eq!(journal.lines().len(), 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_attempt_starts_when_the_thread_is_free() -> Result<(), Error> {
    let (gate, keeper) = gate();
    let runtime = start(&Journal::default(), gate).await?;
    let call = runtime.invoke_async(blocks::service(), false).timeout(Duration::from_millis(50));
    let cid = call.max_attempts(2).backoff(Duration::ZERO).await?;
    assert_eq!(keeper.begun.recv(), Ok(1));
    let waits = async || runtime.find(cid).await.map(|found| found.map(|found| found.status));
    while !matches!(waits().await?, Some(Status::Waiting(WaitReason::Release))) {
        tokio::task::yield_now().await;
    }
    let page = runtime.explain(cid).await?.to_string();
    assert!(
        page.contains("waiting for attempt 2: the handler of the last one is over time and still running"),
        "{page}"
    );
    assert!(keeper.begun.try_recv().is_err(), "there are no two attempts at once");
    keeper.open.send(()).expect("the handler waits");
    assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: 2");
    finish(&runtime).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_is_cancelled_after_its_grace() -> Result<(), Error> {
    let (journal, (gate, keeper)) = (Journal::default(), gate());
    let runtime = start(&journal, gate).await?;
    let cid = runtime.invoke_async(blocks::service(), false).on_failure(report::NAME).await?;
    assert_eq!(keeper.begun.recv(), Ok(1));
    assert_eq!(runtime.cancel(cid).await?, Cancellation::Requested);
    let outcome = runtime.outcome(cid).await?;
    assert!(matches!(outcome, Outcome::Cancelled(_)), "{outcome}");
    assert_eq!(journal.wait_for(1).await[0].text, "Cancelled");
    keeper.open.send(()).expect("the handler waits");
    finish(&runtime).await
}

/// A key is given on when a handler that blocked lets go, also if its dead letter has been discarded by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_comes_free_also_if_its_record_is_gone() -> Result<(), Error> {
    let (gate, keeper) = gate();
    let runtime = start(&Journal::default(), gate).await?;
    let call = |key: &str| runtime.invoke_async(blocks::service(), false).concurrency_key(key);
    let first = call("k").timeout(Duration::from_millis(50)).await?;
    assert!(matches!(runtime.outcome(first).await?, Outcome::TimedOut(_)));
    runtime.discard(first).await?;
    let second = call("k").await?;
    keeper.open.send(()).expect("the handler waits");
    keeper.open.send(()).expect("the handler waits");
    assert!(runtime.outcome(second).await?.is_completed());
    finish(&runtime).await
}

/// One handler that blocks its thread does not hold up what its worker has taken with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_behind_a_handler_that_blocks_is_taken_over() -> Result<(), Error> {
    if is_durable() {
        // Workers do not take many at once where each is on its way to a disk.
        return Ok(());
    }
    let (gate, keeper) = gate();
    let runtime = start(&Journal::default(), gate).await?;
    // Workers learn that they may take many at once.
    for _ in 0..20_000 {
        runtime.invoke_async("zato.ping", ()).await?;
    }
    runtime.invoke("zato.ping", ()).await?;
    for service in [blocks::NAME, "zato.ping"] {
        runtime.pause(service).await?;
    }
    let blocked = runtime.invoke_async(blocks::service(), false).await?;
    let mut behind = Vec::new();
    for _ in 0..200 {
        behind.push(runtime.invoke_async("zato.ping", ()).await?);
    }
    for service in ["zato.ping", blocks::NAME] {
        runtime.resume(service).await?;
    }
    for cid in behind {
        while runtime.find(cid).await?.is_none_or(|found| found.outcome().is_none()) {
            // Tokio's timers stand still where a thread blocks and no other is woken.
            tokio::spawn(async {}).await.expect("it does not panic");
        }
        assert!(runtime.outcome(cid).await?.is_completed());
    }
    keeper.open.send(()).expect("the handler waits");
    assert!(runtime.outcome(blocked).await?.is_completed());
    finish(&runtime).await
}

/// What handlers say to each other, and to the test.
#[derive(Clone)]
struct Turns {
    go_on: Arc<[Notify; 3]>,
    waits: mpsc::UnboundedSender<()>,
    has_come: Sender<()>,
    comes: Arc<Mutex<Receiver<()>>>,
    /// Who calls as one from outside does.
    outside: Arc<OnceLock<Runtime>>,
}

/// The second of three.
const BLOCKS: usize = 1;

/// Waits; then it has another called, or blocks its thread until that has come, and says whether it has.
#[service(name = "blocking.calls-or-waits")]
async fn calls_or_waits(_: &Context, number: usize, turns: &Turns) -> Result<bool> {
    turns.waits.send(())?;
    turns.go_on[number].notified().await;
    if let Some(outside) = turns.outside.get().filter(|_| number != BLOCKS) {
        outside.invoke_async(comes::service(), ()).await?;
        return Ok(true);
    }
    let comes = turns.comes.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(comes.recv_timeout(Duration::from_secs(10)).is_ok())
}

#[service(name = "blocking.comes")]
async fn comes(_: &Context, (): (), turns: &Turns) -> Result<()> {
    Ok(turns.has_come.send(())?)
}

/// There is one thread, on which the other worker is woken. One worker has all three, which wait; and no time passes, in which
/// the other would take over what this one does not come to.
#[tokio::test(start_paused = true)]
async fn whoever_wakes_another_worker_steps_aside_before_its_next_handler() -> Result<(), Error> {
    let ((waits, mut wait), (has_come, comes)) = (mpsc::unbounded_channel(), channel());
    let (comes, go_on) = (Arc::new(Mutex::new(comes)), Arc::default());
    let turns = Turns { go_on, waits, has_come, comes, outside: Arc::default() };
    let services = [calls_or_waits::service().erased(), comes::service().erased()];
    let builder = Runtime::builder().services(services).provide(turns.clone());
    let runtime = builder.workers(2).start().await?;
    let _ = turns.outside.set(runtime.clone());
    tokio::task::yield_now().await;
    let mut cids = Vec::new();
    for number in [0, BLOCKS, 2] {
        cids.push(runtime.invoke_async(calls_or_waits::service(), number).await?);
        // Then its worker sleeps, and is the first to be woken for the next.
        wait.recv().await;
        tokio::task::yield_now().await;
    }
    turns.go_on.iter().for_each(Notify::notify_one);
    for cid in cids {
        let outcome = runtime.outcome(cid).await?;
        assert_eq!(outcome.payload().map(ToString::to_string).as_deref(), Some("true"), "{outcome}");
    }
    runtime.shutdown().await
}
