//! Room: what waits when there is none, what is refused, and that nothing waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use zato_core::{CallError, Context, Failure, Result, service};
use zato_runtime::{Builder, Error, Filter};

use crate::builder::{self, finish, is_durable};
use crate::journal::Journal;

/// A gate that handlers wait at.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

#[service(name = "limits.waits")]
async fn waits(_: &Context, _text: String, gate: &Gate) -> Result<()> {
    gate.0.acquire().await?.forget();
    Ok(())
}

/// How many have run, and how many may be made.
#[derive(Clone, Default)]
struct Made(Arc<AtomicUsize>);

/// Produces into the queue that it drains: every run makes two more, until enough are made.
#[service(name = "limits.breeds")]
async fn breeds(ctx: &Context, left: u32, made: &Made) -> Result<()> {
    made.0.fetch_add(1, Ordering::Relaxed);
    if left > 0 {
        for _ in 0..2 {
            ctx.invoke_async(breeds::service(), left - 1).await?;
        }
    }
    Ok(())
}

#[service(name = "limits.floods")]
async fn floods(ctx: &Context, count: u32, journal: &Journal) -> Result<()> {
    for number in 0..count {
        if let Err(error) = ctx.invoke_async(waits::service(), "x").await {
            assert!(matches!(error, CallError::Full { .. }), "{error}");
            assert!(!error.is_permanent());
            journal.write(ctx, number);
            return Ok(());
        }
    }
    Ok(())
}

#[service(name = "limits.deep")]
async fn deep(ctx: &Context, new_root: bool, journal: &Journal) -> Result<bool> {
    let call = ctx.invoke_async(deep::service(), new_root);
    let call = if new_root && journal.lines().len() == 10 { call.new_root() } else { call };
    match call.await {
        Ok(cid) => journal.write(ctx, cid),
        Err(error) => journal.write(ctx, error),
    }
    if journal.lines().len() >= 15 {
        // The tree has grown past its limit by starting another: that is enough.
        return Err(zato_core::Failure::permanent("enough"));
    }
    Ok(new_root)
}

fn builder(gate: &Gate, made: &Made, journal: &Journal) -> Builder {
    builder::builder()
        .services([
            waits::service().erased(),
            breeds::service().erased(),
            floods::service().erased(),
            deep::service().erased(),
        ])
        .provide(gate.clone())
        .provide(made.clone())
        .provide(journal.clone())
}

fn gate(open: usize) -> Gate {
    Gate(Arc::new(Semaphore::new(open)))
}

#[tokio::test(start_paused = true)]
async fn calls_from_outside_wait_for_room() -> Result<(), Error> {
    let gate = gate(0);
    let runtime =
        builder(&gate, &Made::default(), &Journal::default()).max_running(1).max_waiting(2).start().await?;
    let mut accepted = 0;
    // One runs, two wait.
    while accepted < 3 {
        runtime.invoke_async(waits::service(), "x").await?;
        accepted += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let fourth = tokio::time::timeout(
        Duration::from_hours(1),
        runtime.invoke_async(waits::service(), "x").into_future(),
    );
    assert!(fourth.await.is_err(), "there is no room for an hour");
    gate.0.add_permits(1);
    let fifth = runtime.invoke_async(waits::service(), "x").await?;
    gate.0.add_permits(100);
    assert!(runtime.outcome(fifth).await?.is_completed());
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn many_that_wait_for_room_all_get_it() -> Result<(), Error> {
    let gate = gate(1_000);
    let runtime = builder(&gate, &Made::default(), &Journal::default())
        .max_running(2)
        .max_waiting(3)
        .max_waiting_bytes(10)
        .start()
        .await?;
    let callers: Vec<_> = (0..200)
        .map(|number| {
            let runtime = runtime.clone();
            tokio::spawn(async move { runtime.invoke_async(waits::service(), "x".repeat(number % 12)).await })
        })
        .collect();
    for caller in callers {
        let cid = caller.await.expect("no caller panics")?;
        assert!(runtime.outcome(cid).await?.is_completed());
    }
    finish(&runtime).await
}

#[tokio::test]
async fn a_handler_that_produces_into_its_own_queue_never_deadlocks() -> Result<(), Error> {
    let made = Made::default();
    let runtime =
        builder(&gate(0), &made, &Journal::default()).max_running(1).max_waiting(2_048).start().await?;
    // 2^12 - 1 invocations: more at once than may wait for calls from outside, fewer than twice as many.
    runtime.invoke_async(breeds::service(), 11).await?;
    finish(&runtime).await?;
    assert_eq!(made.0.load(Ordering::Relaxed), 4_095);
    Ok(())
}

#[tokio::test]
async fn calls_from_handlers_may_pass_the_bound_up_to_twice() -> Result<(), Error> {
    let (gate, journal) = (gate(0), Journal::default());
    let runtime = builder(&gate, &Made::default(), &journal).max_running(1).max_waiting(10).start().await?;
    runtime.invoke(floods::service(), 100).await?;
    assert_eq!(journal.lines()[0].text, "20", "the 21st is refused");
    gate.0.add_permits(100);
    finish(&runtime).await
}

#[tokio::test]
async fn a_tree_that_grows_too_deep_is_refused_and_told_of_new_root() -> Result<(), Error> {
    for new_root in [false, true] {
        let journal = Journal::default();
        let runtime = builder(&gate(0), &Made::default(), &journal).max_depth(10).start().await?;
        runtime.invoke_async(deep::service(), new_root).await?;
        finish(&runtime).await?;
        let lines = journal.lines();
        if new_root {
            assert_ne!(lines[11].root, lines[10].root, "it starts a tree of its own");
            assert_eq!(lines[11].parent, Some(lines[10].cid));
        } else {
            assert_eq!(lines.len(), 11);
            assert!(lines[10].text.contains("`.new_root()`"), "{}", lines[10].text);
        }
    }
    Ok(())
}

/// One worker: what never yields must not keep it from the others for ever, and what waits must not hold it.
#[tokio::test]
async fn handlers_that_wait_do_not_hold_a_worker() -> Result<(), Error> {
    let gate = gate(0);
    let runtime = builder(&gate, &Made::default(), &Journal::default()).workers(1).start().await?;
    let mut waiting = Vec::new();
    for _ in 0..1_000 {
        waiting.push(runtime.invoke_async(waits::service(), "x").await?);
    }
    assert_eq!(runtime.invoke("zato.helpers.echo", "through").await?.to_string(), "through");
    gate.0.add_permits(1_000);
    for cid in waiting {
        assert!(runtime.outcome(cid).await?.is_completed());
    }
    finish(&runtime).await
}

#[tokio::test]
async fn what_ended_is_remembered_up_to_a_number() -> Result<(), Error> {
    let runtime = builder::builder().services([]).keep_ended(10).start().await?;
    let mut cids = Vec::new();
    for _ in 0..11 {
        let cid = runtime.invoke_async("zato.ping", ()).await?;
        runtime.outcome(cid).await?;
        cids.push(cid);
    }
    builder::swept(&runtime, 10).await?;
    assert!(matches!(runtime.outcome(cids[0]).await, Err(Error::NotHeld(_))));
    for cid in &cids[1..] {
        assert!(runtime.outcome(*cid).await?.is_completed());
    }
    finish(&runtime).await
}

/// Fails for `fail`.
#[service(name = "limits.fails")]
async fn fails(_: &Context, text: String) -> Result<()> {
    if text == "fail" { Err(Failure::permanent("as it was asked to")) } else { Ok(()) }
}

#[tokio::test]
async fn of_a_group_larger_than_what_is_remembered_the_last_are_and_its_dead_letters() -> Result<(), Error> {
    if is_durable() {
        // What is swept there is swept by and by.
        return Ok(());
    }
    let runtime = builder::builder().services([fails::service().erased()]).keep_ended(3).start().await?;
    let before = runtime.invoke_async("zato.ping", ()).await?;
    runtime.outcome(before).await?;
    let texts = ["fail", "a", "b", "c", "fail", "d", "e"].map(|text| ("limits.fails", text));
    let group = runtime.parallel(texts).await?;
    assert!(runtime.outcome(group).await?.is_completed());
    let held = runtime.list(Filter::default()).await?;
    let held: Vec<_> = held.iter().map(|found| found.invocation.payload.to_string()).collect();
    assert_eq!(held, ["e", "d", "fail", "c", "fail"], "the newest first");
    assert!(matches!(runtime.outcome(before).await, Err(Error::NotHeld(_))));
    finish(&runtime).await
}
