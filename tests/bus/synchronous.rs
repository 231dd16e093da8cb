//! `runtime.invoke`: what its caller, and whoever looks, sees of it while it runs and when the bus ends. The same on every
//! engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use zato_core::{CallError, Context, Failure, Result, service};
use zato_runtime::{Cancellation, Cid, Error, Filter, Outcome, Runtime, Status, StatusFilter};

use crate::builder::durable;
use crate::journal::Journal;

/// Says that a handler runs, and lets it go on.
#[derive(Clone)]
struct Gate {
    began: Arc<Notify>,
    opens: Arc<Semaphore>,
    tries: Arc<AtomicUsize>,
}

impl Gate {
    fn closed() -> Self {
        Self { began: Arc::default(), opens: Arc::new(Semaphore::new(0)), tries: Arc::default() }
    }
}

/// Calls in the background, waits, and fails the first time.
#[service(name = "synchronous.calls", concurrency = 1)]
async fn calls(ctx: &Context, text: String, gate: &Gate) -> Result<String> {
    ctx.invoke_async("synchronous.notes", "child").callback("synchronous.notes").await?;
    gate.began.notify_one();
    gate.opens.acquire().await.expect("it is not closed").forget();
    if gate.tries.fetch_add(1, Ordering::SeqCst) == 0 {
        return Err(Failure::retry_after(Duration::from_millis(1)));
    }
    Ok(text)
}

#[service(name = "synchronous.notes")]
async fn notes(ctx: &Context, text: String, journal: &Journal) -> Result<String> {
    journal.write(ctx, &text);
    Ok(text)
}

/// Fails when it is told that the bus shuts down.
#[service(name = "synchronous.polite", concurrency = 1)]
async fn polite(ctx: &Context, gate: &Gate) -> Result<u32> {
    gate.began.notify_one();
    if ctx.attempt() == 1 && gate.tries.fetch_add(1, Ordering::SeqCst) == 0 {
        ctx.shutting_down().await;
        return Err(Failure::retry_after(Duration::from_secs(1)));
    }
    Ok(ctx.attempt())
}

#[service(name = "synchronous.never", concurrency = 1)]
async fn never(_: &Context, _: String, gate: &Gate) -> Result<()> {
    gate.began.notify_one();
    std::future::pending().await
}

async fn start(url: &str, gate: &Gate, journal: &Journal) -> Result<Runtime, Error> {
    let services = [
        calls::service().erased(),
        notes::service().erased(),
        polite::service().erased(),
        never::service().erased(),
    ];
    let builder = Runtime::builder().engine(url).services(services);
    builder.provide(gate.clone()).provide(journal.clone()).drain_limit(Duration::from_secs(10)).start().await
}

fn urls() -> [String; 2] {
    ["memory:".to_owned(), durable()]
}

/// A synchronous call of `synchronous.calls` that runs, and its CID.
async fn running(
    runtime: &Runtime,
    gate: &Gate,
) -> Result<(JoinHandle<std::result::Result<String, CallError>>, Cid), Error> {
    let call = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.invoke(calls::service(), "done").max_attempts(2).await }
    });
    gate.began.notified().await;
    let found = runtime.list(Filter::new().service(calls::NAME)).await?;
    assert_eq!(found.len(), 1);
    Ok((call, found[0].cid()))
}

#[tokio::test]
async fn it_is_seen_while_it_runs_and_keeps_what_it_called() -> Result<(), Error> {
    for url in urls() {
        let (gate, journal) = (Gate::closed(), Journal::default());
        let runtime = start(&url, &gate, &journal).await?;
        let (call, cid) = running(&runtime, &gate).await?;
        assert!(matches!(runtime.find(cid).await?.expect("it is held").status, Status::Running { .. }));
        assert_eq!(
            runtime.list(Filter::new().stage(StatusFilter::Running).service(calls::NAME)).await?.len(),
            1
        );
        journal.wait_for(2).await;
        let tree: Vec<_> = runtime.tree(cid).await?.iter().map(|found| found.service().to_owned()).collect();
        assert_eq!(tree, [calls::NAME, notes::NAME, notes::NAME], "{url}");
        let page = runtime.explain(cid).with_whole_tree().await?.to_string();
        assert!(page.contains("running: attempt 1 of 2"), "{page}");
        assert!(page.contains("The tree, 3 invocations") && !page.contains("swept"), "{page}");
        let child = runtime.tree(cid).await?[1].cid();
        let page = runtime.explain(child).await?.to_string();
        assert!(page.contains(&format!("by {} ({cid})", calls::NAME)), "{page}");

        // The second attempt does not repeat what the first has called.
        gate.opens.add_permits(2);
        assert_eq!(call.await.expect("the caller does not panic")?, "done");
        let ended = runtime.find(cid).await?.expect("it is kept");
        assert_eq!((ended.attempts, ended.before.map(|before| before.failed)), (2, Some(1)), "{url}");
        assert_eq!(runtime.tree(cid).await?.len(), 3, "{url}");
        runtime.tree_ended(cid).await?;
        runtime.shutdown().await?;
        assert_eq!(journal.lines().len(), 2, "{url}");
    }
    Ok(())
}

#[tokio::test]
async fn it_can_be_cancelled_with_its_tree() -> Result<(), Error> {
    for url in urls() {
        let gate = Gate::closed();
        let runtime = start(&url, &gate, &Journal::default()).await?;
        runtime.pause(notes::NAME).await?;
        let (call, cid) = running(&runtime, &gate).await?;
        let waits = tokio::spawn({
            let runtime = runtime.clone();
            async move { runtime.outcome(cid).await }
        });
        assert_eq!(runtime.cancel(cid).with_tree().await?, Cancellation::Requested, "{url}");
        gate.opens.add_permits(1);
        let error = call.await.expect("the caller does not panic").expect_err("it was cancelled");
        assert!(matches!(&error, CallError::Ended { outcome: Outcome::Cancelled(_), .. }), "{url}: {error}");
        assert!(matches!(waits.await.expect("it does not panic")?, Outcome::Cancelled(_)));
        runtime.tree_ended(cid).await?;
        let outcomes: Vec<_> =
            runtime.tree(cid).await?.iter().filter_map(|found| found.outcome().cloned()).collect();
        assert!(
            outcomes.iter().all(|outcome| matches!(outcome, Outcome::Cancelled(_))),
            "{url}: {outcomes:?}"
        );
        assert_eq!(outcomes.len(), 2, "{url}");
        runtime.shutdown().await?;
    }
    Ok(())
}

/// One that runs and is tried again, one that waits for its place: both are finished, and nothing new is taken.
#[tokio::test(start_paused = true)]
async fn a_shutdown_finishes_what_it_can() -> Result<(), Error> {
    for url in urls() {
        let (gate, journal) = (Gate::closed(), Journal::default());
        let runtime = start(&url, &gate, &journal).await?;
        let calls: Vec<_> = (0..2)
            .map(|_| {
                let runtime = runtime.clone();
                tokio::spawn(async move { runtime.invoke(polite::service(), ()).await })
            })
            .collect();
        gate.began.notified().await;
        let since = Instant::now();
        runtime.shutdown().await?;
        assert_eq!(since.elapsed().as_secs(), 1, "its backoff, on {url}");
        let mut attempts = Vec::new();
        for call in calls {
            attempts.push(call.await.expect("the caller does not panic")?);
        }
        attempts.sort_unstable();
        assert_eq!(attempts, [1, 2], "{url}");
        let refused = runtime.invoke(polite::service(), ()).await;
        assert!(matches!(refused, Err(CallError::ShuttingDown)), "{url}: {refused:?}");
    }
    Ok(())
}

/// One runs, one waits for its place, and one is paused: their callers hear what became of them.
#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_what_it_cannot_finish() -> Result<(), Error> {
    for url in urls() {
        let gate = Gate::closed();
        let runtime = start(&url, &gate, &Journal::default()).await?;
        runtime.pause(notes::NAME).await?;
        let mut callers = Vec::new();
        for service in [never::NAME, never::NAME, notes::NAME] {
            let runtime = runtime.clone();
            callers.push(tokio::spawn(async move { runtime.invoke(service, "x").await }));
        }
        gate.began.notified().await;
        sleep(Duration::from_millis(1)).await;
        let since = Instant::now();
        runtime.shutdown().await?;
        assert_eq!(since.elapsed().as_secs(), 10, "{url}");
        for caller in callers {
            let error = caller.await.expect("the caller does not panic").expect_err("it did not end");
            let CallError::Ended { outcome: Outcome::Cancelled(ending), cid, .. } = &error else {
                panic!("{url}: {error:?}")
            };
            assert!(ending.error.contains("a synchronous call is not kept for the next start"), "{ending:?}");
            if !url.starts_with("sqlite") {
                continue;
            }
            // It is recorded, and does not run again.
            let next = start(&url, &gate, &Journal::default()).await?;
            assert!(matches!(next.outcome(*cid).await?, Outcome::Cancelled(_)), "{url}");
            assert!(next.list(Filter::new().stage(StatusFilter::Running)).await?.is_empty());
            next.shutdown().await?;
        }
    }
    Ok(())
}

/// What it has called stays when its process dies, and the page says what became of the root.
#[tokio::test]
async fn a_tree_whose_root_has_gone_says_so() -> Result<(), Error> {
    let (url, gate, journal) = (durable(), Gate::closed(), Journal::default());
    let runtime = start(&url, &gate, &journal).await?;
    let (call, cid) = running(&runtime, &gate).await?;
    journal.wait_for(2).await;
    let tree = runtime.tree(cid).await?;
    let child = tree[1].cid();
    for found in &tree[1..] {
        assert!(runtime.outcome(found.cid()).await?.is_completed());
    }
    // A copy of the store is what the death of the process would leave.
    let copy = durable();
    for end in ["", "-wal"] {
        let path = |url: &str| format!("{}{end}", url.trim_start_matches("sqlite:"));
        std::fs::copy(path(&url), path(&copy)).expect("the store can be copied");
    }
    let next = start(&copy, &Gate::closed(), &Journal::default()).await?;
    assert!(next.find(cid).await?.is_none());
    let page = next.explain(child).with_whole_tree().await?.to_string();
    assert!(page.contains(&format!("by {} ({cid})", calls::NAME)), "{page}");
    assert!(page.contains("The tree, 2 invocations: 2 Completed, and 1 swept"), "{page}");
    assert!(
        page.contains(&format!("Its root {cid} is not held: it was swept, or it was a synchronous call")),
        "{page}"
    );
    next.tree_ended(child).await?;
    next.shutdown().await?;
    gate.opens.add_permits(2);
    assert_eq!(call.await.expect("the caller does not panic")?, "done");
    runtime.shutdown().await
}
