//! Handlers that block every thread of the workers: what waits is ended all the same, and whoever waits for that hears
//! of it.
//!
//! The clock is the machine's. Each test waits on another thread than those of the workers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use zato_core::{Cid, Context, FailureReport, Result, service};
use zato_runtime::{Builder, Cancellation, Error, Outcome, Runtime};

use crate::builder::durable;
use crate::journal::Journal;

/// Blocks the one thread until the test lets go.
#[derive(Clone)]
struct Gate {
    begun: Sender<()>,
    open: Arc<Mutex<Receiver<()>>>,
}

#[service(name = "blocked.blocks")]
async fn blocks(_: &Context, (): (), gate: &Gate) -> Result<()> {
    gate.begun.send(())?;
    // It ends as well when the test has failed.
    let _ = gate.open.lock().unwrap_or_else(PoisonError::into_inner).recv();
    Ok(())
}

#[service(name = "blocked.waits")]
async fn waits(_: &Context, (): ()) -> Result<()> {
    Ok(())
}

/// Reports when it is dropped whether that is done inside a tokio runtime.
struct Guard(Sender<bool>);

impl Drop for Guard {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.0.send(tokio::runtime::Handle::try_current().is_ok());
    }
}

/// Where [`guarded`] reports its begin, and the drop of what it holds.
#[derive(Clone)]
struct Reports {
    begun: Sender<()>,
    dropped: Sender<bool>,
}

#[service(name = "blocked.guarded")]
async fn guarded(_: &Context, (): (), reports: &Reports) -> Result<()> {
    let _guard = Guard(reports.dropped.clone());
    reports.begun.send(())?;
    std::future::pending().await
}

#[service(name = "blocked.told")]
async fn told(ctx: &Context, report: FailureReport, journal: &Journal) -> Result<()> {
    journal.write(ctx, report.outcome);
    Ok(())
}

/// A bus whose one thread is blocked until what is returned beside it is dropped.
struct Blocked {
    runtime: Runtime,
    journal: Journal,
    blocker: Cid,
    open: Sender<()>,
}

async fn blocked(engine: &str, drain_limit: Duration) -> Result<Blocked, Error> {
    blocked_with(Runtime::builder().engine(engine).drain_limit(drain_limit)).await
}

async fn blocked_with(builder: Builder) -> Result<Blocked, Error> {
    let (runtime, journal, gate, open) = start(builder).await?;
    let blocker = block(&runtime, &gate).await?;
    Ok(Blocked { runtime, journal, blocker, open })
}

async fn start(builder: Builder) -> Result<(Runtime, Journal, Receiver<()>, Sender<()>), Error> {
    let (begun, has_begun) = channel();
    let (open, is_open) = channel();
    let journal = Journal::default();
    let runtime = builder
        .services([blocks::service().erased(), waits::service().erased(), told::service().erased()])
        .provide(Gate { begun, open: Arc::new(Mutex::new(is_open)) })
        .provide(journal.clone())
        .start()
        .await?;
    Ok((runtime, journal, has_begun, open))
}

/// Has a worker blocked, and returns when it is.
async fn block(runtime: &Runtime, has_begun: &Receiver<()>) -> Result<Cid, Error> {
    let blocker = runtime.invoke_async(blocks::service(), ()).await?;
    has_begun.recv_timeout(STUCK).expect("the handler begins");
    Ok(blocker)
}

fn engines() -> [String; 2] {
    ["memory:".to_owned(), durable()]
}

const SOON: Duration = Duration::from_millis(30);

/// What has not come after so long never comes.
const STUCK: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_expires_or_passes_its_deadline_is_ended_and_its_callback_runs_later() -> Result<(), Error> {
    for engine in engines() {
        let Blocked { runtime, journal, blocker, open } = blocked(&engine, Duration::MAX).await?;
        for expected in ["Expired", "TimedOut"] {
            let call = runtime.invoke_async(waits::service(), ()).on_failure(told::NAME);
            let call = match expected {
                "Expired" => call.expires_in(SOON),
                _ => call.deadline(SystemTime::now() + SOON),
            };
            let cid = call.await?;
            assert_eq!(runtime.outcome(cid).await?.name(), expected, "{engine}");
        }
        assert!(journal.lines().is_empty(), "{engine}: no thread is free for callbacks");
        open.send(()).expect("the handler waits");
        assert!(runtime.outcome(blocker).await?.is_completed());
        let texts: Vec<_> = journal.wait_for(2).await.into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["Expired", "TimedOut"], "{engine}");
        runtime.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_waits_is_cancelled() -> Result<(), Error> {
    for engine in engines() {
        let Blocked { runtime, open, .. } = blocked(&engine, Duration::MAX).await?;
        let mut all = Vec::new();
        for _ in 0..1_000 {
            all.push(runtime.invoke_async(waits::service(), ()).await?);
        }
        for cid in &all[..10] {
            assert_eq!(runtime.cancel(*cid).await?, Cancellation::Cancelled, "{engine}");
        }
        // More than one step of the thread that watches.
        for cid in &all[10..] {
            drop(runtime.cancel(*cid).await?);
        }
        for cid in all {
            assert!(matches!(runtime.outcome(cid).await?, Outcome::Cancelled(_)), "{engine}");
        }
        open.send(()).expect("the handler waits");
        runtime.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_shutdown_keeps_its_limit() -> Result<(), Error> {
    for engine in engines() {
        let Blocked { runtime, blocker, open, .. } = blocked(&engine, SOON).await?;
        let waiting = runtime.invoke_async(waits::service(), ()).await?;
        runtime.shutdown().await?;
        if engine == "memory:" {
            for cid in [blocker, waiting] {
                assert!(matches!(runtime.outcome(cid).await?, Outcome::Cancelled(_)));
            }
        }
        open.send(()).expect("the handler waits");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_shutdown_at_its_limit_drops_handlers_inside_the_tokio_runtime() -> Result<(), Error> {
    for engine in engines() {
        let (begun, has_begun) = channel();
        let (dropped, was_dropped) = channel();
        let (blocks_now, is_blocking) = channel();
        let (open, is_open) = channel();
        let runtime = Runtime::builder()
            .engine(&engine)
            .services([blocks::service().erased(), guarded::service().erased()])
            .provide(Gate { begun: blocks_now, open: Arc::new(Mutex::new(is_open)) })
            .provide(Reports { begun, dropped })
            .drain_limit(SOON)
            .start()
            .await?;
        runtime.invoke_async(guarded::service(), ()).await?;
        has_begun.recv().expect("the handler begins");
        runtime.invoke_async(blocks::service(), ()).await?;
        is_blocking.recv().expect("the handler begins");
        runtime.shutdown().await?;
        assert_eq!(was_dropped.try_recv(), Ok(true), "{engine}");
        open.send(()).expect("the handler waits");
    }
    Ok(())
}

/// Nobody looks at what was called before it expires: its one worker is blocked, and the other thread is free. On disk a
/// callback waits for a worker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_callback_of_what_expires_runs_on_a_thread_that_is_free() -> Result<(), Error> {
    let Blocked { runtime, journal, open, .. } = blocked_with(Runtime::builder().workers(1)).await?;
    runtime.invoke_async(waits::service(), ()).await?;
    let call = runtime.invoke_async(waits::service(), ()).on_failure(told::NAME);
    call.expires_in(SOON).await?;
    let lines = timeout(STUCK, journal.wait_for(1)).await.expect("its time is watched");
    assert_eq!(lines[0].text, "Expired");
    open.send(()).expect("the handler waits");
    runtime.shutdown().await
}

/// What waited is ended by nobody who is a worker, and there is room again.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_cancelled_makes_room() -> Result<(), Error> {
    for engine in engines() {
        let builder = Runtime::builder().engine(&engine).max_waiting(1);
        let Blocked { runtime, open, .. } = blocked_with(builder).await?;
        let first = runtime.invoke_async(waits::service(), ()).await?;
        let second = async { runtime.invoke_async(waits::service(), ()).await };
        let cancel = async { runtime.cancel(first).await };
        // The second waits for room when the first is cancelled.
        let (second, cancelled) =
            timeout(STUCK, async { tokio::join!(biased; second, cancel) }).await.expect("there is room");
        assert_eq!(cancelled?, Cancellation::Cancelled, "{engine}");
        open.send(()).expect("the handler waits");
        second?;
        runtime.shutdown().await?;
    }
    Ok(())
}

/// All workers but one are blocked, one after the other, and what is called between starts on the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn what_is_called_starts_while_another_worker_is_free() -> Result<(), Error> {
    for engine in engines() {
        let (runtime, _, has_begun, open) = start(Runtime::builder().engine(&engine)).await?;
        // Workers learn that few of them are useful.
        let calls = [(); 4].map(|()| {
            let runtime = runtime.clone();
            tokio::spawn(async move {
                for _ in 0..500 {
                    runtime.invoke_async(waits::service(), ()).await.expect("it is taken");
                }
            })
        });
        for calls in calls {
            calls.await.expect("it does not panic");
        }
        for _ in 0..7 {
            block(&runtime, &has_begun).await?;
            let cid = runtime.invoke_async(waits::service(), ()).await?;
            let outcome = timeout(STUCK, runtime.outcome(cid)).await.expect("it starts")?;
            assert!(outcome.is_completed(), "{engine}: {outcome}");
        }
        for _ in 0..7 {
            open.send(()).expect("the handlers wait");
        }
        runtime.shutdown().await?;
    }
    Ok(())
}
