//! A bus inside a program: what it is given, whose tokio runtime it lives on, whose clock it follows, and how the program
//! waits for it.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, advance, sleep, timeout};
use zato_core::{Context, Failure, Result, service};
use zato_runtime::{CallError, Cid, Error, Outcome, Runtime};

use crate::builder::{builder, durable};
use crate::journal::Journal;

#[derive(Clone)]
struct Sender(&'static str);

#[service(name = "embedding.mail")]
async fn mail(_: &Context, sender: &Sender, port: u16) -> Result<String> {
    Ok(format!("{}:{port}", sender.0))
}

#[tokio::test]
async fn two_resources_of_one_type_are_a_fault_beside_all_others() -> Result<(), Error> {
    let with = |first, second| {
        builder().services([mail::service().erased()]).provide(Sender(first)).provide(Sender(second))
    };
    let error = with("a", "b").start().await.unwrap_err().to_string();
    assert!(error.starts_with("2 faults in the services:"), "{error}");
    assert!(error.contains("two resources of the type `Sender` were provided"), "{error}");
    assert!(error.contains(".replace(..)") && error.contains("no `u16` was provided"), "{error}");
    assert!(with("a", "b").provide(1_u16).check().is_err());

    let runtime = builder()
        .services([mail::service().erased()])
        .provide(Sender("a"))
        .provide(25_u16)
        .replace(Sender("b"))
        .start()
        .await?;
    assert_eq!(runtime.invoke(mail::service(), ()).await?, "b:25");
    runtime.shutdown().await
}

/// Tokio says by a panic alone that its timers are off; nothing of that is to be seen, and the program's own panic hook stays.
#[test]
fn a_start_without_timers_is_an_error_without_a_panic() {
    let (here, panics) = (thread::current().id(), Arc::new(AtomicUsize::new(0)));
    let (before, seen) = (panic::take_hook(), panics.clone());
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == here {
            seen.fetch_add(1, Ordering::SeqCst);
        } else {
            before(info);
        }
    }));
    let tokio = tokio::runtime::Builder::new_current_thread().build().expect("tokio");
    for _ in 0..3 {
        let started = tokio.block_on(Runtime::builder().services([]).start());
        assert!(matches!(started, Err(Error::NoTimers)), "{started:?}");
    }
    assert_eq!(panics.load(Ordering::SeqCst), 0);
    assert!(panic::catch_unwind(|| panic!("on purpose")).is_err());
    assert_eq!(panics.load(Ordering::SeqCst), 1, "the hook is in place again");
}

#[service(name = "embedding.waits")]
async fn waits(_: &Context) -> Result<()> {
    std::future::pending().await
}

#[test]
fn a_bus_whose_tokio_runtime_has_ended_says_so() {
    let build =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let first = build();
    let start = builder().services([waits::service().erased()]).start();
    let runtime = first.block_on(start).expect("nothing is wrong with the services");
    let other = runtime.clone();
    let call = first.spawn(async move { other.invoke(waits::service(), ()).await });
    first.block_on(async {
        while runtime.list(zato_runtime::Filter::new()).await.expect("it is read").is_empty() {
            tokio::task::yield_now().await;
        }
    });
    drop(first);
    build().block_on(async {
        assert!(call.await.expect_err("its task is gone").is_cancelled());
        for error in [
            runtime.invoke_async(waits::service(), ()).await.unwrap_err(),
            runtime.invoke(waits::service(), ()).await.unwrap_err(),
            runtime.parallel([(waits::service(), ())]).await.unwrap_err(),
        ] {
            assert!(matches!(error, CallError::TokioEnded), "{error}");
            assert!(
                error.to_string().contains("the tokio runtime that this bus was started on has ended"),
                "{error}"
            );
        }
    });
}

#[service(name = "embedding.at")]
async fn at(ctx: &Context, seconds: u64, journal: &Journal) -> Result<()> {
    let due = ctx.now() + Duration::from_secs(seconds);
    ctx.invoke_async(reached::service(), due).at(due).await?;
    journal.write(ctx, "called");
    Ok(())
}

#[service(name = "embedding.reached")]
async fn reached(ctx: &Context, due: SystemTime, journal: &Journal) -> Result<()> {
    journal.write(ctx, format!("{:?}", ctx.now().duration_since(due).map_err(Failure::permanent)?));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn now_is_the_time_of_a_test_that_pauses_its_clock() -> Result<(), Error> {
    let journal = Journal::default();
    let services = [at::service().erased(), reached::service().erased()];
    let runtime = Runtime::builder().services(services).provide(journal.clone()).start().await?;
    let before = runtime.now();
    advance(Duration::from_hours(30)).await;
    assert_eq!(runtime.now().duration_since(before).expect("it goes on"), Duration::from_hours(30));
    // From a handler and from outside: due after its hour of the test's time, and not before.
    for from_outside in [false, true] {
        let began = Instant::now();
        if from_outside {
            let due = runtime.now() + Duration::from_hours(1);
            runtime.invoke_async(reached::service(), due).at(due).await?;
        } else {
            runtime.invoke_async(at::service(), 3_600).await?;
        }
        sleep(Duration::from_mins(59)).await;
        assert_eq!(journal.of(reached::NAME).len(), usize::from(from_outside), "not before its time");
        sleep(Duration::from_mins(2)).await;
        assert_eq!(journal.of(reached::NAME).len(), 1 + usize::from(from_outside));
        assert!(began.elapsed() < Duration::from_hours(2));
    }
    runtime.shutdown().await
}

/// Calls itself twice, one level down, with callbacks; the leaves fail.
#[service(name = "embedding.tree", max_attempts = 2, backoff = "10ms")]
async fn tree(ctx: &Context, depth: u32, journal: &Journal) -> Result<u32> {
    if depth == 0 {
        journal.write(ctx, "leaf");
        return Err(Failure::new("a leaf fails, and is tried again"));
    }
    for _ in 0..2 {
        ctx.invoke_async(tree::service(), depth - 1)
            .callback(done::service())
            .on_failure(failed::service())
            .delay(Duration::from_millis(5))
            .await?;
    }
    ctx.fan_out(()).target("zato.ping", ()).target(done::service(), depth).on_final(rows::service()).await?;
    Ok(depth)
}

#[service(name = "embedding.done")]
async fn done(ctx: &Context, _depth: u32, journal: &Journal) -> Result<()> {
    sleep(Duration::from_millis(2)).await;
    journal.write(ctx, "done");
    Ok(())
}

#[service(name = "embedding.failed")]
async fn failed(ctx: &Context, _report: String, journal: &Journal) -> Result<()> {
    sleep(Duration::from_millis(2)).await;
    ctx.invoke_async(done::service(), 0).delay(Duration::from_millis(3)).await?;
    journal.write(ctx, "failed");
    Ok(())
}

#[service(name = "embedding.rows")]
async fn rows(ctx: &Context, rows: Vec<zato_core::Row>, journal: &Journal) -> Result<()> {
    sleep(Duration::from_millis(2)).await;
    journal.write(ctx, rows.len());
    Ok(())
}

#[tokio::test]
async fn a_whole_tree_is_waited_for_with_callbacks_and_groups() -> Result<(), Error> {
    for url in ["memory:".to_owned(), durable()] {
        let journal = Journal::default();
        let services = [
            tree::service().erased(),
            done::service().erased(),
            failed::service().erased(),
            rows::service().erased(),
        ];
        let runtime =
            Runtime::builder().engine(&url).services(services).provide(journal.clone()).start().await?;
        let root = runtime.invoke_async(tree::service(), 4).callback(done::service()).await?;
        timeout(Duration::from_mins(2), runtime.tree_ended(root)).await.expect("it ends")?;
        // 16 leaves of two attempts; 15 nodes with a done of their own, one in their group, and its rows; and each failure's
        // own call.
        assert_eq!(journal.of(tree::NAME).len(), 32, "{url}");
        assert_eq!(journal.of(failed::NAME).len(), 16, "{url}");
        assert_eq!(journal.of(done::NAME).len(), 15 + 15 + 16, "{url}");
        assert_eq!(journal.of(rows::NAME).len(), 15, "{url}");
        let all = runtime.tree(root).await?;
        assert!(all.iter().all(|one| one.outcome().is_some()), "{url}");
        // Any of the tree leads to it; what has ended is not waited for.
        runtime.tree_ended(all[all.len() - 1].cid()).await?;
        let unknown: Cid = "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d".parse().expect("a CID");
        assert!(matches!(runtime.tree_ended(unknown).await, Err(Error::NotHeld(cid)) if cid == unknown));
        runtime.shutdown().await?;
    }
    Ok(())
}

/// It waits on events: a test's time stands still but for what the tree itself waits for.
#[tokio::test(start_paused = true)]
async fn waiting_for_a_tree_takes_as_long_as_the_tree() -> Result<(), Error> {
    let journal = Journal::default();
    let services = [at::service().erased(), reached::service().erased()];
    let runtime = Runtime::builder().services(services).provide(journal.clone()).start().await?;
    let began = Instant::now();
    let root = runtime.invoke_async(at::service(), 3_600).await?;
    runtime.tree_ended(root).await?;
    assert_eq!(journal.lines().len(), 2);
    assert_eq!(began.elapsed().as_secs(), 3_600);
    // A cancelled tree has ended too.
    let root = runtime.invoke_async(at::service(), 3_600).await?;
    sleep(Duration::from_secs(1)).await;
    runtime.cancel(root).with_tree().await?;
    runtime.tree_ended(root).await?;
    assert!(matches!(runtime.tree(root).await?[1].outcome(), Some(Outcome::Cancelled(_))));
    runtime.shutdown().await
}
