//! Code that does its worst: what it breaks is its own invocation and nothing else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Barrier, Notify};
use tokio::time::timeout;
use zato_core::{CallError, Context, Failure, Result, service};
use zato_runtime::{Cancellation, Error, Outcome, Runtime, Status, WaitReason};

use crate::builder::{builder, finish, is_durable};

/// An error that panics when it is shown, or when it is dropped.
#[derive(Debug)]
struct Bomb {
    when_shown: bool,
}

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(!self.when_shown, "shown");
        f.write_str("a bomb")
    }
}

impl std::error::Error for Bomb {}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(self.when_shown || std::thread::panicking(), "dropped");
    }
}

/// A panic's value that panics when it is dropped, twice over.
struct Chain(u8);

impl Drop for Chain {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Self(self.0 - 1));
        }
    }
}

#[service(name = "hostile.bomb")]
async fn bomb(_: &Context, when_shown: bool) -> Result<()> {
    Err(Bomb { when_shown })?
}

#[service(name = "hostile.late-bomb")]
async fn late_bomb(_: &Context, when_shown: bool) -> Result<()> {
    tokio::task::yield_now().await;
    Err(Bomb { when_shown })?
}

#[service(name = "hostile.chain")]
async fn chain(_: &Context) -> Result<()> {
    std::panic::panic_any(Chain(2))
}

#[service(name = "hostile.never", max_attempts = 2)]
async fn never(_: &Context) -> Result<()> {
    Err(Failure::retry_after(Duration::MAX))
}

#[service(name = "hostile.waits")]
async fn waits(_: &Context) -> Result<()> {
    std::future::pending().await
}

/// How many have begun, and how many were dropped.
#[derive(Clone, Default)]
struct Counts(Arc<AtomicUsize>, Arc<AtomicUsize>);

#[service(name = "hostile.blocks")]
async fn blocks(_: &Context, _reply: Option<String>, counts: &Counts) -> Result<()> {
    counts.0.fetch_add(1, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(20));
    counts.1.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Says when it runs, and leaves a task behind that holds the context of a call that has returned.
#[derive(Clone, Default)]
struct Signals(Arc<Notify>, Arc<Notify>);

#[service(name = "hostile.outer")]
async fn outer(ctx: &Context, signals: &Signals) -> Result<()> {
    ctx.invoke(inner::service(), ()).await?;
    signals.0.notify_one();
    std::future::pending().await
}

#[service(name = "hostile.inner")]
async fn inner(ctx: &Context, signals: &Signals) -> Result<()> {
    let (ctx, looked) = (ctx.clone(), signals.1.clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        ctx.cancelled().await;
        looked.notify_one();
    });
    Ok(())
}

async fn start(counts: &Counts, signals: &Signals, workers: usize) -> Result<Runtime, Error> {
    builder()
        .services([
            bomb::service().erased(),
            late_bomb::service().erased(),
            chain::service().erased(),
            never::service().erased(),
            waits::service().erased(),
            blocks::service().erased(),
            outer::service().erased(),
            inner::service().erased(),
        ])
        .provide(counts.clone())
        .provide(signals.clone())
        .workers(workers)
        .drain_limit(Duration::from_millis(50))
        .start()
        .await
}

#[tokio::test]
async fn an_error_or_a_panic_that_panics_ends_its_own_invocation() -> Result<(), Error> {
    let runtime = start(&Counts::default(), &Signals::default(), 1).await?;
    let mut cids = Vec::new();
    for when_shown in [true, false] {
        cids.push(runtime.invoke_async(bomb::service(), when_shown).await?);
        cids.push(runtime.invoke_async(late_bomb::service(), when_shown).await?);
        cids.push(runtime.invoke_async(chain::service(), ()).await?);
    }
    for cid in cids {
        let outcome = runtime.outcome(cid).await?;
        assert!(
            matches!(&outcome, Outcome::Failed(ending) if ending.error.contains("panicked")),
            "{outcome}"
        );
    }
    assert_eq!(runtime.invoke("zato.helpers.echo", "alive").await?.to_string(), "alive");
    finish(&runtime).await
}

/// The log formats the time of the next attempt, which no calendar has.
#[tokio::test]
async fn a_retry_that_never_comes_harms_nobody() -> Result<(), Error> {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let runtime = start(&Counts::default(), &Signals::default(), 1).await?;
    let cid = runtime.invoke_async(never::service(), ()).await?;
    assert_eq!(runtime.invoke("zato.helpers.echo", "alive").await?.to_string(), "alive");
    // A synchronous call waits for nothing that is written of another.
    while !matches!(
        runtime.find(cid).await?.expect("it is held").status,
        Status::Waiting(WaitReason::Until(_))
    ) {
        tokio::task::yield_now().await;
    }
    assert_eq!(runtime.cancel(cid).await?, Cancellation::Cancelled);
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn a_context_left_behind_does_not_disarm_the_attempt() -> Result<(), Error> {
    let signals = Signals::default();
    let runtime = start(&Counts::default(), &signals, 1).await?;
    let cid = runtime.invoke_async(outer::service(), ()).await?;
    signals.0.notified().await;
    signals.1.notified().await;
    assert_eq!(runtime.cancel(cid).await?, Cancellation::Requested);
    let outcome =
        timeout(Duration::from_mins(1), runtime.outcome(cid)).await.expect("its grace is 5 seconds")?;
    assert!(matches!(outcome, Outcome::Cancelled(_)), "{outcome}");
    finish(&runtime).await
}

/// A bus that outlives its tokio runtime says so, and lets nobody wait.
#[test]
fn when_the_tokio_runtime_is_gone_nobody_waits() {
    let build =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let first = build();
    let runtime = first
        .block_on(start(&Counts::default(), &Signals::default(), 2))
        .expect("nothing is wrong with the services");
    let cid = first.block_on(runtime.invoke_async(waits::service(), ()).into_future()).expect("it is taken");
    drop(first);
    build().block_on(async {
        let outcome = timeout(Duration::from_mins(1), runtime.outcome(cid)).await.expect("it is told");
        let is_told = match outcome {
            Ok(outcome) => matches!(outcome, Outcome::Cancelled(_)) && !is_durable(),
            // It is kept for the next process.
            Err(error) => matches!(error, Error::Store(_)) && is_durable(),
        };
        assert!(is_told);
        let error = runtime.invoke_async(waits::service(), ()).await.unwrap_err();
        assert!(matches!(error, CallError::TokioEnded), "{error}");
        assert!(runtime.invoke(waits::service(), ()).await.is_err());
        timeout(Duration::from_mins(1), runtime.shutdown())
            .await
            .expect("there is nothing to wait for")
            .expect("ok");
    });
}

#[test]
fn a_tokio_without_timers_is_refused_at_start() {
    let tokio = tokio::runtime::Builder::new_current_thread().build().expect("tokio");
    let error = tokio.block_on(Runtime::builder().services([]).start()).unwrap_err();
    assert!(error.to_string().contains("`enable_time()`"), "{error}");
}

/// The last handle is dropped outside of tokio, and what is under way is finished all the same.
#[test]
fn a_handle_dropped_outside_of_tokio_shuts_down_in_the_background() {
    let tokio =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("tokio");
    let counts = Counts::default();
    let runtime = tokio.block_on(start(&counts, &Signals::default(), 2)).expect("it starts");
    tokio.block_on(runtime.invoke_async(blocks::service(), None).into_future()).expect("it is taken");
    while is_durable() && counts.0.load(Ordering::SeqCst) == 0 {
        // What has not begun is left to the next process.
        std::thread::yield_now();
    }
    drop(runtime);
    while counts.1.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_begins_after_a_shutdown_has_returned() -> Result<(), Error> {
    let counts = Counts::default();
    let runtime = start(&counts, &Signals::default(), 2).await?;
    let mut call = runtime.invoke_async("zato.helpers.echo", "x");
    for _ in 0..50 {
        call = call.callback(blocks::NAME);
    }
    call.await?;
    runtime.shutdown().await?;
    let begun = counts.0.load(Ordering::SeqCst);
    assert!(begun < 50, "50 times 20 ms on two workers need more than 50 ms");
    // What blocks cannot be dropped; it ends, and none begins after it.
    while counts.1.load(Ordering::SeqCst) < begun {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(
        counts.0.load(Ordering::SeqCst) <= begun + 1,
        "{} begun after the shutdown",
        counts.0.load(Ordering::SeqCst) - begun
    );
    Ok(())
}

/// Several callbacks of one outcome are for all workers, not for the one that settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn callbacks_of_one_outcome_run_beside_each_other() -> Result<(), Error> {
    let met = Meeting(Arc::new(Barrier::new(2)), Arc::default());
    let runtime =
        builder().services([meets::service().erased()]).provide(met.clone()).workers(2).start().await?;
    runtime.invoke_async("zato.helpers.echo", "x").callback(meets::NAME).callback(meets::NAME).await?;
    finish(&runtime).await?;
    assert_eq!(met.1.load(Ordering::SeqCst), 2);
    Ok(())
}

/// Where two handlers meet, and how many have.
#[derive(Clone)]
struct Meeting(Arc<Barrier>, Arc<AtomicUsize>);

/// Blocks its worker until another of it runs.
#[service(name = "hostile.meets")]
async fn meets(_: &Context, _text: String, meeting: &Meeting) -> Result<()> {
    let other = timeout(Duration::from_secs(20), meeting.0.wait());
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(other))?;
    meeting.1.fetch_add(1, Ordering::SeqCst);
    Ok(())
}
