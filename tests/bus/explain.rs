//! The page of `explain`: what it says, and that it stays a page.

use std::time::Duration;

use zato_core::{Context, Failure, Result, service};
use zato_runtime::{Cid, Error, Runtime};

use crate::builder::{builder, finish, swept};

/// Makes one more below itself, as often as it is told.
#[service(name = "explain.deep")]
async fn deep(ctx: &Context, left: u32) -> Result<()> {
    match left {
        0 => Err(Failure::permanent("the end\n\u{1b}[31m\u{202e}of it")),
        left => {
            ctx.invoke_async(deep::service(), left - 1).await?;
            Ok(())
        }
    }
}

#[service(name = "explain.wide")]
async fn wide(ctx: &Context, count: u32) -> Result<Cid> {
    Ok(ctx.fan_out((0..count).map(|number| (part::service(), number))).await?)
}

#[service(name = "explain.part", max_attempts = 2, backoff = "1h")]
async fn part(_: &Context, number: u32) -> Result<u32> {
    match number {
        3 => Err(Failure::permanent("sold out")),
        5 => Err(Failure::new("not yet")),
        number => Ok(number),
    }
}

#[service(name = "explain.waits", concurrency = 1, rate = "1/h")]
async fn waits(ctx: &Context) -> Result<()> {
    ctx.cancelled().await;
    Ok(())
}

async fn start() -> Result<Runtime, Error> {
    let services = [
        deep::service().erased(),
        wide::service().erased(),
        part::service().erased(),
        waits::service().erased(),
    ];
    builder().services(services).drain_limit(Duration::from_millis(10)).start().await
}

/// On a thread with the stack of tokio's workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thousand_levels_are_a_page() -> Result<(), Error> {
    let runtime = start().await?;
    let root = runtime.invoke_async(deep::service(), 999).await?;
    let last = loop {
        let dead = runtime.list(zato_runtime::Filter::dead()).await?;
        if let Some(last) = dead.first() {
            break last.cid();
        }
        // Who looks without a pause keeps the engine from everybody else.
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    for cid in [root, last] {
        let page = tokio::spawn({
            let runtime = runtime.clone();
            async move { runtime.explain(cid).await.map(|page| page.to_string()) }
        });
        let page = page.await.expect("it does not panic")?;
        assert!(page.lines().count() < 150, "{page}");
        assert!(page.contains("The tree, 1,000 invocations: 999 Completed, 1 Failed"), "{page}");
        assert!(page.contains("<== this one"), "{page}");
    }
    let page = runtime.explain(last).await?.to_string();
    assert!(page.contains("987 invocations above are not shown"), "{page}");
    assert!(
        page.contains(r"the end\n\u{1b}[31m\u{202e}of it"),
        "what could move the cursor is escaped: {page}"
    );
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn many_members_are_counted_and_those_that_matter_shown() -> Result<(), Error> {
    let runtime = start().await?;
    let group = runtime.invoke(wide::service(), 10_000).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let page = runtime.explain(group).await?.to_string();
    assert!(page.lines().count() < 60, "{page}");
    for part in ["as          fan-out of 10,000", "sold out", "waiting for attempt 2 at", "more: 9,99"] {
        assert!(page.contains(part), "`{part}` in {page}");
    }
    finish(&runtime).await
}

/// The way from the root and what is below it: siblings are counted.
#[tokio::test(start_paused = true)]
async fn one_of_many_siblings_is_a_short_page() -> Result<(), Error> {
    let runtime = start().await?;
    let group = runtime.invoke(wide::service(), 300).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let members: Vec<_> =
        runtime.tree(group).await?.into_iter().filter(|found| found.service() == part::NAME).collect();
    let asked = members[267].cid();
    let page = runtime.explain(asked).await?.to_string();
    assert!(page.lines().count() < 25, "{page}");
    let root = page.find("explain.wide").expect("the root is on the page");
    let this = page.find("<== this one").expect("it is marked");
    assert!(root < this, "{page}");
    assert!(page.contains("and 299 more: 297 Completed, 1 Failed, 1 waiting"), "{page}");

    let whole = runtime.explain(asked).with_whole_tree().await?.to_string();
    assert!(members.iter().all(|member| whole.contains(&member.cid().to_string())), "{whole}");
    assert!(!whole.contains(" more: "), "{whole}");
    assert_eq!(whole.matches("<== this one").count(), 1);
    finish(&runtime).await
}

/// On a thread with the stack of tokio's workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_whole_tree_may_be_deep() -> Result<(), Error> {
    let runtime = start().await?;
    let root = runtime.invoke_async(deep::service(), 999).await?;
    while runtime.list(zato_runtime::Filter::dead()).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let reader = runtime.clone();
    let page = tokio::spawn(async move { reader.explain(root).with_whole_tree().await }).await;
    let page = page.expect("it does not panic")?.to_string();
    assert_eq!(
        page.matches("explain.deep (").count() + page.matches("explain.deep 0").count(),
        1_001,
        "{page}"
    );
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn payloads_are_shown_when_they_are_asked_for() -> Result<(), Error> {
    let runtime = start().await?;
    let cid = runtime.invoke_async("zato.helpers.echo", "abc\u{1b}[31m\ntwo").await?;
    runtime.outcome(cid).await?;
    assert!(!runtime.explain(cid).await?.to_string().contains("abc"));
    let page = runtime.explain(cid).with_payloads().await?.to_string();
    for part in
        ["\nThe request, 12 bytes of text:\nabc\\u{1b}[31m\ntwo\n", "\nThe response, 12 bytes of text:\nabc"]
    {
        assert!(page.contains(part), "`{part}` in {page}");
    }
    let ping = runtime.invoke_async("zato.ping", ()).await?;
    runtime.outcome(ping).await?;
    let page = runtime.explain(ping).with_payloads().await?.to_string();
    assert!(
        page.contains("\nThe request is empty.\n\nThe response, 15 bytes of JSON:\n{\"pong\":\"zato\"}"),
        "{page}"
    );
    finish(&runtime).await
}

#[tokio::test]
async fn a_tree_says_how_much_of_it_is_swept() -> Result<(), Error> {
    let runtime = builder()
        .services([wide::service().erased(), part::service().erased()])
        .keep_ended(6)
        .start()
        .await?;
    let group = runtime.invoke(wide::service(), 3).await?;
    runtime.outcome(group).await?;
    for _ in 0..2 {
        runtime.invoke("zato.ping", ()).await?;
    }
    swept(&runtime, 6).await?;
    let page = runtime.explain(group).await?.to_string();
    assert!(page.contains("swept: no longer kept"), "{page}");
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn what_has_not_ended_says_why() -> Result<(), Error> {
    let runtime = start().await?;
    let first = runtime.invoke_async(waits::service(), ()).await?;
    let second = runtime.invoke_async(waits::service(), ()).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let says = async |cid, part: &str| {
        let page = runtime.explain(cid).await?.to_string();
        assert!(page.contains(part), "`{part}` in {page}");
        Ok::<_, Error>(())
    };
    says(first, "running: attempt 1 of 1 since").await?;
    says(first, "`cancel` asks it to stop").await?;
    says(second, &format!("concurrency = 1 of explain.waits is used up by {first}")).await?;
    runtime.cancel(first).await?;
    runtime.outcome(first).await?;
    says(second, "waiting for its rate: \"1/h\" of explain.waits").await?;
    runtime.pause(waits::NAME).await?;
    says(second, "paused: explain.waits starts nothing until it is resumed").await?;
    says(second, "`resume(\"explain.waits\")` lets it start").await?;
    let unknown = "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d".parse().expect("a CID");
    assert!(matches!(runtime.explain(unknown).await, Err(Error::NotHeld(_))));
    finish(&runtime).await
}
