//! Services that another process has announced: what is invoked of them waits, visibly, for a process that hosts them.

use zato_core::{Context, Result, service};
use zato_runtime::{Builder, Error, Filter, Runtime, Status, WaitReason};

use crate::builder::durable;
use crate::journal::Journal;

#[service(name = "announced.charges")]
async fn charges(_: &Context, amount: u64) -> Result<u64> {
    Ok(amount)
}

#[service(name = "announced.receives")]
async fn receives(ctx: &Context, amount: u64, journal: &Journal) -> Result<()> {
    journal.write(ctx, amount);
    Ok(())
}

#[service(name = "announced.forwards")]
async fn forwards(ctx: &Context, amount: u64) -> Result<()> {
    ctx.invoke_async("announced.charges", amount).callback("announced.receives").await?;
    Ok(())
}

fn hosts(url: &str, journal: &Journal) -> Builder {
    Runtime::builder()
        .engine(url)
        .services([charges::service().erased(), receives::service().erased()])
        .provide(journal.clone())
}

fn other(url: &str) -> Builder {
    Runtime::builder().engine(url).services([forwards::service().erased()])
}

#[tokio::test]
async fn what_another_process_announced_is_accepted_and_parked_until_a_host_runs() -> Result<(), Error> {
    let (url, journal) = (durable(), Journal::default());
    // It announces its services, and nobody has ever invoked them.
    hosts(&url, &journal).start().await?.shutdown().await?;

    let runtime = other(&url).start().await?;
    let outside = runtime.invoke_async("announced.charges", 1).callback("announced.receives").await?;
    let handler = runtime.invoke_async(forwards::service(), 2).await?;
    assert!(runtime.outcome(handler).await?.is_completed());
    runtime.parallel([("announced.charges", 4)]).on_target("announced.receives").await?;
    let found = runtime.find(outside).await?.expect("it is held");
    assert!(matches!(found.status, Status::Waiting(WaitReason::Host)), "{found:?}");
    let waiting = runtime.list(Filter::new().service("announced.charges")).await?;
    assert!(waiting.len() >= 3, "{waiting:?}");
    let page = runtime.explain(outside).await?.to_string();
    assert!(page.contains("announced.charges"), "{page}");
    runtime.shutdown().await?;

    let runtime = hosts(&url, &journal).start().await?;
    assert_eq!(runtime.outcome(outside).await?.to_string(), "Completed: 1");
    let lines = journal.wait_for(3).await;
    let amounts: std::collections::BTreeSet<_> = lines.iter().map(|line| line.text.clone()).collect();
    assert!(["1", "2", "4"].iter().all(|amount| amounts.contains(*amount)), "{amounts:?}");
    runtime.shutdown().await
}

#[tokio::test]
async fn a_name_that_nobody_announced_is_still_refused_with_the_nearest() -> Result<(), Error> {
    let (url, journal) = (durable(), Journal::default());
    hosts(&url, &journal).start().await?.shutdown().await?;
    let runtime = other(&url).start().await?;
    for (target, callback) in
        [("announced.forwarded", None), ("announced.charges", Some("announced.forwarded"))]
    {
        let call = runtime.invoke_async(target, 1);
        let call = match callback {
            Some(callback) => call.callback(callback),
            None => call,
        };
        let error = call.await.expect_err("nobody has announced it").to_string();
        assert!(error.contains("announced.forwards"), "{error}");
    }
    // Whoever waits for the response would wait for this process, which does not have the service.
    let error = runtime.invoke("announced.charges", 1).await.expect_err("it is not linked").to_string();
    assert!(error.contains("announced.charges"), "{error}");
    runtime.shutdown().await
}

#[tokio::test]
async fn in_memory_only_what_is_linked_is_known() -> Result<(), Error> {
    let runtime = other("memory:").start().await?;
    assert!(runtime.invoke_async("announced.charges", 1).await.is_err());
    runtime.shutdown().await
}
