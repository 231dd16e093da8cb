//! What counts as a loss when a process dies: a copy of the store, taken at some moment, is what its death at that moment
//! would have left.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore};
use zato_core::{Context, Failure, Result, service};
use zato_runtime::{Cid, Error, InvocationInfo, Runtime, Status, WaitReason};

use crate::builder::directory;

/// Says when a handler has begun, and lets handlers go on.
#[derive(Clone)]
struct Gate {
    has_begun: Arc<Notify>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { has_begun: Arc::default(), open: Arc::new(Semaphore::new(0)) }
    }

    /// Waits until a handler has begun.
    async fn begins(&self) {
        self.has_begun.notified().await;
    }
}

#[service(name = "losses.waits")]
async fn waits(ctx: &Context, gate: &Gate) -> Result<u32> {
    gate.has_begun.notify_one();
    gate.open.acquire().await?.forget();
    Ok(ctx.attempt())
}

#[service(name = "losses.other")]
async fn other(_: &Context) -> Result<()> {
    Ok(())
}

/// Survives more deaths than the default allows.
#[service(name = "losses.patient", max_losses = 6)]
async fn patient(ctx: &Context, gate: &Gate) -> Result<u32> {
    gate.has_begun.notify_one();
    gate.open.acquire().await?.forget();
    Ok(ctx.attempt())
}

/// Survives fewer.
#[service(name = "losses.brittle", max_losses = 2)]
async fn brittle(_: &Context, gate: &Gate) -> Result<()> {
    gate.has_begun.notify_one();
    gate.open.acquire().await?.forget();
    Ok(())
}

/// Fails when a shutdown begins, and twice more by itself.
#[service(name = "losses.stops", max_attempts = 2, backoff = "1ms")]
async fn stops(ctx: &Context, gate: &Gate) -> Result<()> {
    gate.has_begun.notify_one();
    if ctx.attempt() <= 2 {
        ctx.shutting_down().await;
    }
    Err(Failure::new("failed"))
}

/// A store, and what would be left of it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(directory())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("zato.db")
    }

    /// What the death of the process would leave now.
    fn after_a_kill(&self) -> Self {
        let copy = Self::new();
        for name in ["zato.db", "zato.db-wal"] {
            let (from, to) = (self.0.path().join(name), copy.0.path().join(name));
            std::fs::copy(from, to).expect("the store can be copied");
        }
        copy
    }

    async fn start(&self, gate: &Gate) -> Result<Runtime, Error> {
        let services = [waits::service().erased(), other::service().erased(), stops::service().erased()];
        let builder =
            Runtime::builder().engine(format!("sqlite:{}", self.file().display())).services(services);
        builder.provide(gate.clone()).drain_limit(Duration::from_hours(1)).start().await
    }
}

async fn found(runtime: &Runtime, cid: Cid) -> Result<InvocationInfo, Error> {
    Ok(runtime.find(cid).await?.expect("it is held"))
}

fn losses(found: &InvocationInfo) -> u32 {
    found.before.as_ref().map_or(0, |before| before.losses)
}

/// A job that meets one deployment after the other is never lost, however often it is killed while it is drained.
#[tokio::test]
async fn a_kill_during_a_drain_is_no_loss() -> Result<(), Error> {
    let (mut place, mut called) = (Place::new(), None);
    for deployment in 1..=4 {
        let gate = Gate::new();
        let runtime = place.start(&gate).await?;
        let cid = match called {
            Some(cid) => cid,
            None => runtime.invoke_async(waits::service(), ()).max_losses(1).await?,
        };
        called = Some(cid);
        gate.begins().await;
        let shutdown = tokio::spawn({
            let runtime = runtime.clone();
            async move { runtime.shutdown().await }
        });
        // Until the calls from outside are refused, and what runs is recorded: the look-up comes after that.
        while runtime.invoke_async(other::service(), ()).await.is_ok() {}
        let now = found(&runtime, cid).await?;
        assert!(matches!(now.status, Status::Running { .. }), "{now:?}");
        assert_eq!((now.attempts, losses(&now)), (deployment, 0));
        let next = place.after_a_kill();
        gate.open.add_permits(1);
        shutdown.await.expect("it does not panic")?;
        place = next;
    }
    let (gate, cid) = (Gate::new(), called.expect("it was called"));
    gate.open.add_permits(1);
    let runtime = place.start(&gate).await?;
    assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: 5");
    let before = found(&runtime, cid).await?.before.expect("it was tried before");
    assert_eq!((before.attempts, before.failed, before.losses), (4, 0, 0));
    assert!(before.tried.iter().all(|tried| &*tried.error == "its process ended during a shutdown"));
    runtime.shutdown().await
}

/// Interrupted attempts wait for the next start, and pages say how many there were.
#[tokio::test]
async fn an_interrupted_attempt_waits_for_the_next_start_and_does_not_count() -> Result<(), Error> {
    let (place, mut called) = (Place::new(), None);
    for deployment in 1..=2 {
        let gate = Gate::new();
        let runtime = place.start(&gate).await?;
        let cid = match called {
            Some(cid) => cid,
            None => runtime.invoke_async(stops::service(), ()).await?,
        };
        called = Some(cid);
        gate.begins().await;
        let (ended, now) = tokio::join!(runtime.shutdown(), async {
            loop {
                // A bus that is closed answers no look-ups: the shutdown may be faster than this look.
                let Ok(now) = found(&runtime, cid).await else { return None };
                if !matches!(now.status, Status::Running { .. }) {
                    return Some(now);
                }
                tokio::task::yield_now().await;
            }
        });
        ended?;
        if let Some(now) = now {
            assert!(matches!(now.status, Status::Waiting(WaitReason::Restart)), "{now:?}");
            let before = now.before.expect("it was tried");
            assert_eq!((before.attempts, before.failed, before.losses), (deployment, 0, 0));
        }
    }
    let runtime = place.start(&Gate::new()).await?;
    let outcome = runtime.outcome(called.expect("it was called")).await?;
    assert_eq!(outcome.to_string(), "Failed: failed (attempt 2 of 2, and 2 interrupted)");
    runtime.shutdown().await
}

/// The limit is the one that was recorded when the call was accepted, also in a process that does not host the service and
/// knows nothing of it.
#[tokio::test]
async fn a_process_that_does_not_host_a_service_keeps_to_its_limit_of_losses() -> Result<(), Error> {
    let start = async |place: &Place, gate: &Gate, hosts: bool| {
        let services = if hosts {
            vec![patient::service().erased(), brittle::service().erased(), other::service().erased()]
        } else {
            vec![other::service().erased()]
        };
        let builder = Runtime::builder().engine(format!("sqlite:{}", place.file().display()));
        builder.services(services).provide(gate.clone()).start().await
    };
    for (name, deaths, limit) in [("losses.patient", 4, 6), ("losses.brittle", 2, 2)] {
        let (mut place, mut called) = (Place::new(), None);
        for _ in 0..deaths {
            let gate = Gate::new();
            let runtime = start(&place, &gate, true).await?;
            if called.is_none() {
                called = Some(runtime.invoke_async(name, ()).await?);
            }
            gate.begins().await;
            // What is recorded of the start is on disk when a call after it is.
            runtime.invoke_async(other::service(), ()).await?;
            let left = place.after_a_kill();
            gate.open.add_permits(1);
            runtime.shutdown().await?;
            place = left;
        }
        let cid = called.expect("it was called");
        let gate = Gate::new();
        let runtime = start(&place, &gate, false).await?;
        if deaths >= limit {
            assert_eq!(runtime.outcome(cid).await?.name(), "Lost");
        } else {
            // It has had its time to be ended when a call that came after it has.
            let after = runtime.invoke_async(other::service(), ()).await?;
            runtime.outcome(after).await?;
            let found = found(&runtime, cid).await?;
            assert!(matches!(found.status, Status::Waiting(WaitReason::Host)), "{:?}", found.status);
            assert_eq!(losses(&found), deaths);
            runtime.shutdown().await?;
            gate.open.add_permits(1);
            let runtime = start(&place, &gate, true).await?;
            assert_eq!(runtime.outcome(cid).await?.to_string(), format!("Completed: {}", deaths + 1));
            runtime.shutdown().await?;
            continue;
        }
        runtime.shutdown().await?;
    }
    Ok(())
}
