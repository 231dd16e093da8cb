//! Looking at what a bus holds: one invocation, a tree, a list.

use std::time::Duration;

use tokio::time::sleep;
use zato_core::{Cancellation, Cid, Context, Failure, Payload, Result, service};
use zato_runtime::{Error, Filter, InvocationInfo, Runtime, Status, StatusFilter, WaitReason};

use crate::builder::{builder, finish, is_durable};

#[service(name = "look.echo")]
async fn echo(_: &Context, request: Payload) -> Result<Payload> {
    Ok(request)
}

#[service(name = "look.fails", max_attempts = 2, backoff = "10s")]
async fn fails(ctx: &Context, text: String) -> Result<String> {
    Err(Failure::new(format!("{text} in attempt {}", ctx.attempt())))
}

/// Waits until it is told.
#[service(name = "look.waits", concurrency = 1)]
async fn waits(ctx: &Context) -> Result<()> {
    ctx.cancelled().await;
    Ok(())
}

/// Calls something in every way; with a callback of its own, and one that starts a tree of its own.
#[service(name = "look.calls")]
async fn calls(ctx: &Context) -> Result<Cid> {
    ctx.invoke_async(echo::NAME, "child").callback(echo::NAME).await?;
    ctx.invoke(echo::NAME, "inside").await?;
    assert!(ctx.invoke("zato.ping", ()).await.is_ok());
    ctx.fan_out([(echo::NAME, 1), (echo::NAME, 2)]).await?;
    Ok(ctx.invoke_async(echo::NAME, "apart").new_root().await?)
}

async fn start() -> Result<Runtime, Error> {
    builder()
        .services([
            echo::service().erased(),
            fails::service().erased(),
            waits::service().erased(),
            calls::service().erased(),
        ])
        .max_running(2)
        .start()
        .await
}

fn cids(found: &[InvocationInfo]) -> Vec<Cid> {
    found.iter().map(InvocationInfo::cid).collect()
}

#[tokio::test(start_paused = true)]
async fn one_is_found_wherever_it_stands() -> Result<(), Error> {
    let runtime = start().await?;
    let find = async |cid| Ok::<_, Error>(runtime.find(cid).await?.expect("it is held"));
    let unknown: Cid = "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d".parse().expect("a CID");
    assert!(runtime.find(unknown).await?.is_none());

    let running = runtime.invoke_async(waits::service(), ()).await?;
    let place = runtime.invoke_async(waits::service(), ()).await?;
    let due = runtime.invoke_async(echo::NAME, 1).delay(Duration::from_mins(1)).await?;
    let group = runtime.fan_out([(waits::service(), ()), (waits::service(), ())]).await?;
    let failing = runtime.invoke_async(fails::service(), "no").await?;
    let completed = runtime.invoke_async(echo::NAME, "yes").await?;
    sleep(Duration::from_secs(1)).await;
    let found = find(running).await?;
    assert!(matches!(found.status, Status::Running { is_cancelled: false, .. }), "{:?}", found.status);
    assert_eq!((found.attempts, found.service(), found.is_dead()), (1, waits::NAME, false));
    assert!(matches!(find(place).await?.status, Status::Waiting(WaitReason::Concurrency(1))));
    assert!(matches!(find(due).await?.status, Status::Waiting(WaitReason::Until(_))));
    assert!(matches!(find(group).await?.status, Status::Open(2)));
    let found = find(failing).await?;
    assert!(matches!(found.status, Status::Waiting(WaitReason::Until(_))), "{:?}", found.status);
    let before = found.before.expect("an attempt has been made");
    assert_eq!((found.attempts, before.failed), (1, 1));
    assert_eq!(&*before.tried[0].error, "no in attempt 1");
    assert!(find(completed).await?.outcome().is_some_and(|outcome| outcome.to_string() == "Completed: yes"));

    // Another takes the second place of the process.
    runtime.invoke_async(calls::service(), ()).await?;
    runtime.cancel(running).await?;
    runtime.outcome(running).await?;
    runtime.outcome(failing).await?;
    let found = find(failing).await?;
    assert!(found.is_dead());
    assert_eq!((found.attempts, found.before.map(|before| before.attempts)), (2, Some(1)));
    runtime.shutdown().await?;
    if !is_durable() {
        assert!(runtime.find(group).await?.expect("it is held").outcome().is_some(), "also after a shutdown");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_tree_is_found_by_any_of_its_invocations() -> Result<(), Error> {
    let runtime = start().await?;
    let root = runtime.invoke_async(calls::service(), ()).await?;
    let apart: Cid = runtime.outcome(root).await?.payload().expect("it completed").decode()?;
    sleep(Duration::from_secs(1)).await;
    let tree = runtime.tree(root).await?;
    let told = |found: &InvocationInfo| format!("{} {}", found.invocation.channel, found.service());
    let all: Vec<_> = tree.iter().map(told).collect();
    let (callback, called): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|told| told == "invoke-async-callback look.echo");
    assert_eq!(callback.len(), 1, "it is called when its target has ended, which may be at any time");
    let expected = [
        "invoke-async look.calls",
        "invoke-async look.echo",
        "invoke look.echo",
        "invoke zato.ping",
        "fan-out zato.fan-out",
        "invoke-async look.echo",
        "invoke-async look.echo",
    ];
    assert_eq!(called, expected, "from its root, in the order in which it was called");
    for found in &tree {
        assert_eq!(cids(&runtime.tree(found.cid()).await?), cids(&tree), "{}", told(found));
        assert_eq!(found.invocation.root, root);
    }
    assert_eq!(cids(&runtime.tree(apart).await?), [apart], "a tree of its own");
    let unknown: Cid = "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d".parse().expect("a CID");
    assert!(matches!(runtime.tree(unknown).await, Err(Error::NotHeld(cid)) if cid == unknown));
    assert!(matches!(runtime.explain(unknown).await, Err(Error::NotHeld(cid)) if cid == unknown));
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn a_list_is_of_one_service_and_one_stage() -> Result<(), Error> {
    let runtime = start().await?;
    let completed = runtime.invoke_async(echo::NAME, 1).await?;
    let failing = runtime.invoke_async(fails::service(), "no").await?;
    runtime.outcome(failing).await?;
    let running = runtime.invoke_async(waits::service(), ()).await?;
    let group = runtime.parallel([(waits::service(), ())]).await?;
    let late = runtime.invoke_async(echo::NAME, 2).delay(Duration::from_mins(1)).await?;
    sleep(Duration::from_secs(1)).await;
    let member = runtime.tree(group).await?.last().expect("it has a member").cid();
    let list = async |filter| Ok::<_, Error>(cids(&runtime.list(filter).await?));
    assert_eq!(list(Filter::new()).await?, [late, member, group, running, failing, completed]);
    assert_eq!(list(Filter::default().limit(2)).await?, [late, member]);
    assert_eq!(list(Filter::new().service(echo::NAME)).await?, [late, completed]);
    assert_eq!(list(Filter::new().stage(StatusFilter::Waiting)).await?, [late, member]);
    assert_eq!(list(Filter::new().stage(StatusFilter::Running)).await?, [group, running]);
    assert_eq!(list(Filter::new().stage(StatusFilter::Ended)).await?, [failing, completed]);
    assert_eq!(list(Filter::dead()).await?, [failing]);
    assert_eq!(list(Filter::dead().service(echo::NAME)).await?, []);
    assert_eq!(list(Filter::new().stage(StatusFilter::Waiting).service(echo::NAME)).await?, [late]);
    assert_eq!(list(Filter::new().service("no.such")).await?, []);
    assert_eq!(list(Filter::new().limit(0)).await?, []);
    assert_eq!(list(Filter::new().before(completed)).await?, []);
    runtime.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn a_list_has_pages_that_together_are_all_of_it() -> Result<(), Error> {
    let runtime = start().await?;
    let mut expected = Vec::new();
    for number in 0..1_003 {
        let cid = runtime.invoke_async(echo::NAME, number).await?;
        if number % 2 == 0 {
            runtime.invoke_async("zato.ping", ()).await?;
        }
        expected.push(cid);
    }
    sleep(Duration::from_secs(1)).await;
    expected.reverse();
    assert_eq!(runtime.list(Filter::new()).await?.len(), 100, "a hundred unless told");
    let mut filter = Filter::new().service(echo::NAME).limit(100);
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let page = cids(&runtime.list(filter.clone()).await?);
        let Some(last) = page.last() else { break };
        filter = filter.before(*last);
        pages += 1;
        all.extend(page);
    }
    assert_eq!((all, pages), (expected, 11));
    finish(&runtime).await
}

/// A callback that waits for its turn is below an invocation that is not kept.
#[tokio::test(start_paused = true)]
async fn a_callback_of_what_is_not_kept_is_found_and_cancelled() -> Result<(), Error> {
    let runtime = builder()
        .services([echo::service().erased(), fails::service().erased(), waits::service().erased()])
        .keep_ended(0)
        .keep_dead(0)
        .start()
        .await?;
    runtime.pause(waits::NAME).await?;
    let gone = [
        runtime.invoke_async(echo::NAME, "completed").callback(waits::NAME).await?,
        runtime.invoke_async(echo::NAME, "later").delay("1s").callback(waits::NAME).await?,
        runtime.invoke_async(fails::NAME, "failed").max_attempts(1).on_failure(waits::NAME).await?,
    ];
    sleep(Duration::from_secs(2)).await;
    let waiting = runtime.list(Filter::new().stage(StatusFilter::Waiting)).await?;
    assert_eq!(waiting.len(), gone.len());
    for found in waiting {
        assert!(found.invocation.in_reply_to().is_some_and(|cid| gone.contains(&cid)));
        assert!(runtime.explain(found.cid()).await?.to_string().contains("look.waits"));
        assert_eq!(runtime.cancel(found.cid()).with_tree().await?, Cancellation::Cancelled);
    }
    finish(&runtime).await
}
