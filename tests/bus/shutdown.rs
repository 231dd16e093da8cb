//! How a runtime ends on the memory engine, which finishes what waits. What another leaves stands in `restarts`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use zato_core::{CallError, Context, Failure, Result, service};
use zato_runtime::{Error, Outcome, Runtime};

use crate::journal::Journal;

#[service(name = "shutdown.slow")]
async fn slow(ctx: &Context, seconds: u64, journal: &Journal) -> Result<u64> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    // What a running handler calls is still taken.
    ctx.invoke_async(after::service(), seconds).await?;
    journal.write(ctx, seconds);
    Ok(seconds)
}

#[service(name = "shutdown.after")]
async fn after(ctx: &Context, seconds: u64, journal: &Journal) -> Result<()> {
    journal.write(ctx, seconds);
    Ok(())
}

#[service(name = "shutdown.polite")]
async fn polite(ctx: &Context, journal: &Journal) -> Result<()> {
    ctx.cancelled().await;
    journal.write(ctx, "told");
    Ok(())
}

/// Says when it runs.
#[derive(Clone, Default)]
struct Began(Arc<Notify>);

#[service(name = "shutdown.never")]
async fn never(_: &Context, began: &Began) -> Result<()> {
    began.0.notify_one();
    std::future::pending().await
}

/// Fails when it is told to stop, so that the shutdown has interrupted it.
#[service(name = "shutdown.fails", max_attempts = 2)]
async fn fails(ctx: &Context) -> Result<()> {
    ctx.cancelled().await;
    Err(Failure::new("interrupted"))
}

async fn start(journal: &Journal, began: &Began) -> Result<Runtime, Error> {
    Runtime::builder()
        .services([
            slow::service().erased(),
            after::service().erased(),
            polite::service().erased(),
            never::service().erased(),
            fails::service().erased(),
        ])
        .provide(journal.clone())
        .provide(began.clone())
        .max_running(3)
        .drain_limit(Duration::from_mins(1))
        .start()
        .await
}

#[tokio::test(start_paused = true)]
async fn what_runs_and_what_waits_is_finished_with_its_callbacks() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Began::default()).await?;
    for seconds in 1..=10 {
        runtime.invoke_async(slow::service(), seconds).callback(after::service()).await?;
    }
    runtime.shutdown().await?;
    assert_eq!(journal.of(slow::NAME).len(), 10);
    assert_eq!(journal.of(after::NAME).len(), 20);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_taken_from_outside() -> Result<(), Error> {
    let runtime = start(&Journal::default(), &Began::default()).await?;
    let cid = runtime.invoke_async(slow::service(), 5).await?;
    let other = runtime.clone();
    let shutdown = tokio::spawn(async move { other.shutdown().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let error = runtime.invoke_async(slow::service(), 5).await.unwrap_err();
    assert!(matches!(error, CallError::ShuttingDown), "{error}");
    assert!(!error.is_permanent());
    assert!(matches!(runtime.invoke(slow::service(), 5).await, Err(CallError::ShuttingDown)));
    assert!(runtime.outcome(cid).await?.is_completed());
    shutdown.await.expect("a shutdown does not panic")?;
    runtime.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn handlers_are_told() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Began::default()).await?;
    runtime.invoke_async(polite::service(), ()).await?;
    let began = tokio::time::Instant::now();
    runtime.shutdown().await?;
    assert_eq!(journal.lines()[0].text, "told");
    assert!(began.elapsed() < Duration::from_secs(1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_limit_is_cancelled_and_waiters_are_told() -> Result<(), Error> {
    let began = Began::default();
    let runtime = start(&Journal::default(), &began).await?;
    let mut cids = Vec::new();
    for _ in 0..5 {
        cids.push(runtime.invoke_async(never::service(), ()).await?);
    }
    began.0.notified().await;
    let waiter = tokio::spawn({
        let (runtime, cid) = (runtime.clone(), cids[0]);
        async move { runtime.outcome(cid).await }
    });
    let since = tokio::time::Instant::now();
    runtime.shutdown().await?;
    assert_eq!(since.elapsed().as_secs(), 60);
    let told = waiter.await.expect("the waiter does not panic")?;
    assert!(matches!(told, Outcome::Cancelled(_)), "{told}");
    for cid in cids {
        assert!(matches!(runtime.outcome(cid).await?, Outcome::Cancelled(_)));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_is_told() -> Result<(), Error> {
    let runtime = Runtime::builder()
        .services([never::service().erased()])
        .provide(Began::default())
        .max_running(1)
        .max_waiting(1);
    let runtime = runtime.start().await?;
    runtime.invoke_async(never::service(), ()).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    runtime.invoke_async(never::service(), ()).await?;
    let third = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.invoke_async(never::service(), ()).await }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (third, ended) = tokio::join!(third, runtime.shutdown());
    ended?;
    assert!(matches!(third.expect("the caller does not panic"), Err(CallError::ShuttingDown)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_finishes_what_is_under_way() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Began::default()).await?;
    runtime.invoke_async(slow::service(), 5).callback(after::service()).await?;
    let second = runtime.clone();
    drop(runtime);
    second.invoke_async(after::service(), 1).await?;
    drop(second);
    assert_eq!(journal.wait_for(4).await.len(), 4);
    Ok(())
}

#[test]
fn a_runtime_outside_of_tokio_says_what_it_needs() {
    let mut starting = Box::pin(Runtime::builder().services([]).start());
    let polled = starting.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    match polled {
        std::task::Poll::Ready(Err(error @ Error::NoTokio)) => {
            assert!(error.to_string().contains("#[tokio::main]"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_key_of_what_is_interrupted_is_not_waited_for() -> Result<(), Error> {
    let runtime = start(&Journal::default(), &Began::default()).await?;
    let keyed = || runtime.invoke_async(fails::service(), ()).concurrency_key("one").into_future();
    let (first, second) = (keyed().await?, keyed().await?);
    tokio::task::yield_now().await;
    let since = tokio::time::Instant::now();
    runtime.shutdown().await?;
    assert!(since.elapsed() < Duration::from_secs(1), "it took {:?}", since.elapsed());
    for cid in [first, second] {
        assert!(matches!(runtime.outcome(cid).await?, Outcome::Cancelled(_)));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_twice_while_it_waits_is_not_waited_for() -> Result<(), Error> {
    let runtime = start(&Journal::default(), &Began::default()).await?;
    let cid = runtime.invoke_async(polite::service(), ()).delay(Duration::from_secs(5)).await?;
    let since = tokio::time::Instant::now();
    let (first, second, ended) = tokio::join!(runtime.cancel(cid), runtime.cancel(cid), runtime.shutdown());
    assert!(first.is_ok() && second.is_ok() && ended.is_ok());
    assert!(since.elapsed() < Duration::from_secs(1), "it took {:?}", since.elapsed());
    Ok(())
}

/// A shutdown goes on whether its caller waits for it, has given up, or does not look.
#[tokio::test]
async fn nobody_stands_in_the_way_of_a_shutdown() -> Result<(), zato_runtime::Error> {
    let runtime = Runtime::builder().services([]).start().await?;
    let mut first = Box::pin(runtime.shutdown());
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending())).await);
    runtime.shutdown().await?;
    drop(first);
    runtime.shutdown().await
}
