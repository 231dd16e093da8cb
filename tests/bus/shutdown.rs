//! How a runtime ends on the memory engine, which finishes what waits. What another leaves stands in `restarts`.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use zato_core::{CallError, Context, Failure, FailureReport, Result, service};
use zato_runtime::{Builder, Error, Outcome, Runtime};

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

/// Fails when the shutdown begins, so that it is interrupted.
#[service(name = "shutdown.fails", max_attempts = 2, backoff = "1s")]
async fn fails(ctx: &Context, journal: &Journal) -> Result<()> {
    ctx.shutting_down().await;
    journal.write(ctx, "interrupted");
    Err(Failure::new("interrupted"))
}

/// Fails once, and works for as long as it is not asked to stop.
#[service(name = "shutdown.fails-once", max_attempts = 2, backoff = "10s")]
async fn fails_once(ctx: &Context, journal: &Journal) -> Result<String> {
    journal.write(ctx, "began");
    tokio::select! {
        () = ctx.cancelled() => Err(Failure::new("asked to stop")),
        () = sleep(Duration::from_secs(3)) => match ctx.attempt() {
            1 => Err(Failure::new("not yet")),
            _ => Ok("done".to_owned()),
        },
    }
}

/// Tells a shutdown from a cancel.
#[service(name = "shutdown.tells")]
async fn tells(ctx: &Context, began: &Began) -> Result<String> {
    began.0.notify_one();
    ctx.cancelled().await;
    let mut shutting_down = pin!(ctx.shutting_down());
    let is_shutdown = poll_fn(|cx| Poll::Ready(shutting_down.as_mut().poll(cx).is_ready())).await;
    Ok(if is_shutdown { "a shutdown" } else { "a cancel" }.to_owned())
}

/// Calls one synchronously that a shutdown interrupts, and fails as it does.
#[service(name = "shutdown.nests", max_attempts = 2, backoff = "1s")]
async fn nests(ctx: &Context, journal: &Journal) -> Result<()> {
    journal.write(ctx, "began");
    Ok(ctx.invoke(fails::service(), ()).max_attempts(3).await?)
}

#[service(name = "shutdown.report")]
async fn report(ctx: &Context, report: FailureReport, journal: &Journal) -> Result<()> {
    journal.write(ctx, format!("{} {}", report.service, report.outcome));
    Ok(())
}

/// The bus that a handler shuts down.
#[derive(Clone, Default)]
struct Whole(Arc<OnceLock<Runtime>>);

#[service(name = "shutdown.shuts-down")]
async fn shuts_down(_: &Context, whole: &Whole) -> Result<()> {
    Ok(whole.0.get().expect("it is set").shutdown().await?)
}

fn builder(journal: &Journal, began: &Began) -> Builder {
    Runtime::builder()
        .services([
            slow::service().erased(),
            after::service().erased(),
            polite::service().erased(),
            never::service().erased(),
            fails::service().erased(),
            fails_once::service().erased(),
            tells::service().erased(),
            nests::service().erased(),
            report::service().erased(),
            shuts_down::service().erased(),
            after_text::service().erased(),
            again_tomorrow::service().erased(),
            rows::service().erased(),
        ])
        .provide(journal.clone())
        .provide(began.clone())
        .provide(Whole::default())
        .max_running(3)
        .drain_limit(Duration::from_mins(1))
}

async fn start(journal: &Journal, began: &Began) -> Result<Runtime, Error> {
    builder(journal, began).start().await
}

fn texts(journal: &Journal) -> Vec<String> {
    journal.lines().into_iter().map(|line| line.text).collect()
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
async fn handlers_are_asked_to_stop_a_grace_before_the_limit() -> Result<(), Error> {
    for (limit, grace, asked) in [(60, 5, 55), (60, 30, 30), (5, 10, 0), (3, 0, 3)] {
        let (journal, began) = (Journal::default(), Began::default());
        let builder = builder(&journal, &began).drain_limit(Duration::from_secs(limit));
        let runtime = builder.cancel_grace(Duration::from_secs(grace)).start().await?;
        let cid = runtime.invoke_async(tells::service(), ()).await?;
        began.0.notified().await;
        let since = Instant::now();
        runtime.shutdown().await?;
        assert_eq!(since.elapsed().as_secs(), asked, "{limit} {grace}");
        if grace > 0 {
            assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: a shutdown", "{limit} {grace}");
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_a_drain_is_seen_at_once() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Began::default()).await?;
    let cid = runtime.invoke_async(polite::service(), ()).await?;
    let since = Instant::now();
    let (ended, _) = tokio::join!(runtime.shutdown(), async {
        sleep(Duration::from_secs(1)).await;
        runtime.cancel(cid).await
    });
    ended?;
    assert_eq!((since.elapsed().as_secs(), texts(&journal)), (1, vec!["told".to_owned()]));
    assert!(runtime.outcome(cid).await?.is_completed(), "it returned within its grace");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_cancel_is_not_taken_for_a_shutdown() -> Result<(), Error> {
    let began = Began::default();
    let runtime = start(&Journal::default(), &began).await?;
    let cid = runtime.invoke_async(tells::service(), ()).await?;
    began.0.notified().await;
    runtime.cancel(cid).await.expect("it is held");
    assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: a cancel");
    runtime.shutdown().await
}

/// A test that posts, shuts down and asserts: 5 of 5.
#[tokio::test(start_paused = true)]
async fn a_retry_is_finished_as_if_there_were_no_shutdown() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Began::default()).await?;
    let mut cids = Vec::new();
    for _ in 0..5 {
        cids.push(runtime.invoke_async(fails_once::service(), ()).callback(after_text::service()).await?);
    }
    let since = Instant::now();
    runtime.shutdown().await?;
    for cid in cids {
        assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: done");
    }
    assert!((16..30).contains(&since.elapsed().as_secs()), "it took {:?}", since.elapsed());
    assert_eq!(journal.of(after_text::NAME).len(), 5, "their callbacks have run");
    Ok(())
}

#[service(name = "shutdown.after-text")]
async fn after_text(ctx: &Context, text: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, text);
    Ok(())
}

/// The attempt does not count; the second one that is interrupted is the last, so that nothing loops.
#[tokio::test(start_paused = true)]
async fn an_interrupted_attempt_is_made_once_more() -> Result<(), Error> {
    for service in [fails::NAME, nests::NAME] {
        let journal = Journal::default();
        let runtime = start(&journal, &Began::default()).await?;
        let cid = runtime.invoke_async(service, ()).max_attempts(1).on_failure(report::service()).await?;
        sleep(Duration::from_millis(1)).await;
        let since = Instant::now();
        runtime.shutdown().await?;
        assert_eq!(since.elapsed().as_secs(), 1, "its backoff");
        let outcome = runtime.outcome(cid).await?;
        assert!(matches!(outcome, Outcome::Cancelled(_)), "{outcome}");
        assert!(outcome.error().is_some_and(|error| error.ends_with("interrupted")), "{outcome}");
        let found = runtime.find(cid).await?.expect("it is remembered");
        let before = found.before.expect("there was another attempt");
        assert_eq!((found.attempts, before.failed), (2, 0));
        assert_eq!(journal.of(service).len(), 2);
        assert_eq!(journal.of(report::NAME)[0].text, format!("{service} Cancelled"));
    }
    Ok(())
}

#[service(name = "shutdown.again-tomorrow", max_attempts = 2, backoff = "1d")]
async fn again_tomorrow(ctx: &Context, (): ()) -> Result<()> {
    ctx.invoke_async(after::service(), 1).delay("1d").await?;
    Err(zato_core::Failure::new("not today"))
}

/// What is due after the limit, and what comes to be so during the shutdown, is not waited for.
#[tokio::test(start_paused = true)]
async fn what_is_not_due_before_the_limit_is_given_up_at_once() -> Result<(), Error> {
    let (journal, began) = (Journal::default(), Began::default());
    let runtime = start(&journal, &began).await?;
    let tomorrow =
        runtime.invoke_async(after::service(), 1).on_failure(report::service()).delay("1d").await?;
    let again =
        runtime.invoke_async(again_tomorrow::service(), ()).on_failure(report::service()).delay("10s");
    let again = again.await?;
    let since = Instant::now();
    runtime.shutdown().await?;
    assert_eq!(since.elapsed().as_secs(), 10, "the time of the attempt that can be made");
    for cid in [tomorrow, again] {
        let outcome = runtime.outcome(cid).await?;
        assert!(matches!(outcome, Outcome::Cancelled(_)), "{outcome}");
    }
    assert_eq!(texts(&journal), ["shutdown.after Cancelled", "shutdown.again-tomorrow Cancelled"]);
    Ok(())
}

/// What runs, what is not due, what is paused and what no process hosts: each has its failure callback.
#[tokio::test(start_paused = true)]
async fn failure_callbacks_of_what_is_left_run_before_the_limit() -> Result<(), Error> {
    let (journal, began) = (Journal::default(), Began::default());
    let runtime = start(&journal, &began).await?;
    runtime.pause(slow::NAME).await?;
    let cids = [
        runtime.invoke_async(slow::service(), 1).on_failure(report::service()).await?,
        runtime.invoke_async(never::service(), ()).on_failure(report::service()).await?,
        runtime
            .invoke_async(after::service(), 1)
            .on_failure(report::service())
            .delay(Duration::from_hours(1))
            .await?,
    ];
    let member = runtime.fan_out([(never::service(), ())]).on_final(rows::service()).await?;
    began.0.notified().await;
    let since = Instant::now();
    runtime.shutdown().await?;
    assert_eq!(since.elapsed().as_secs(), 59, "a second before its limit nothing is left");
    for cid in cids {
        let outcome = runtime.outcome(cid).await?;
        assert_eq!(
            outcome.to_string(),
            "Cancelled: the runtime was shut down before it ended, and `memory:` keeps nothing"
        );
    }
    assert!(runtime.outcome(member).await?.is_completed(), "the group has ended");
    let mut texts = texts(&journal);
    texts.sort();
    let expected =
        ["Cancelled", "shutdown.after Cancelled", "shutdown.never Cancelled", "shutdown.slow Cancelled"];
    assert_eq!(texts, expected);
    Ok(())
}

#[service(name = "shutdown.rows")]
async fn rows(ctx: &Context, rows: Vec<serde_json::Value>, journal: &Journal) -> Result<()> {
    journal.write(ctx, rows[0]["outcome"].as_str().unwrap_or_default());
    Ok(())
}

/// A failure callback that cannot run is ended too: nothing is left without an outcome.
#[tokio::test(start_paused = true)]
async fn a_failure_callback_that_cannot_run_is_a_dead_letter() -> Result<(), Error> {
    let (journal, began) = (Journal::default(), Began::default());
    let runtime = builder(&journal, &began).drain_limit(Duration::ZERO).start().await?;
    let cid = runtime.invoke_async(never::service(), ()).on_failure(report::service()).await?;
    began.0.notified().await;
    let since = Instant::now();
    let (first, second) = tokio::join!(runtime.shutdown(), runtime.shutdown());
    first?;
    second?;
    runtime.shutdown().await?;
    assert_eq!(since.elapsed(), Duration::ZERO);
    let tree = runtime.tree(cid).await?;
    let outcomes: Vec<_> = tree.iter().map(|found| found.outcome().map(Outcome::name)).collect();
    assert_eq!(outcomes, [Some("Cancelled"), Some("Cancelled")], "the call, and its failure callback");
    assert_eq!(tree[1].service(), report::NAME);
    assert!(journal.lines().is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_shuts_the_bus_down_is_not_waited_for_by_itself() -> Result<(), Error> {
    let whole = Whole::default();
    let runtime = Runtime::builder().services([shuts_down::service().erased()]).provide(whole.clone());
    let runtime = runtime.start().await?;
    assert!(whole.0.set(runtime.clone()).is_ok());
    let since = Instant::now();
    let cid = runtime.invoke_async(shuts_down::service(), ()).await?;
    assert!(runtime.outcome(cid).await?.is_completed());
    runtime.shutdown().await?;
    assert!(since.elapsed() < Duration::from_secs(1), "it took {:?}", since.elapsed());
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
async fn what_waits_for_the_key_of_what_is_interrupted_has_its_turn() -> Result<(), Error> {
    let runtime = start(&Journal::default(), &Began::default()).await?;
    let keyed = || runtime.invoke_async(fails::service(), ()).concurrency_key("one").into_future();
    let (first, second) = (keyed().await?, keyed().await?);
    tokio::task::yield_now().await;
    let since = Instant::now();
    runtime.shutdown().await?;
    assert_eq!(since.elapsed().as_secs(), 2, "each is made once more, a second later");
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
