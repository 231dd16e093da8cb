//! Labels and failure codes: what a caller and a handler attach, and where it is seen.

use std::sync::{Arc, Mutex};

use zato_core::{CallError, Context, Failure, FailureReport, Labels, Payload, Result, service};
use zato_runtime::{Error, Filter, Runtime};

use crate::builder::{builder, durable};
use crate::journal::Journal;

/// What each handler has seen of its labels.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, Labels)>>>);

impl Seen {
    fn note(&self, ctx: &Context) {
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.push((ctx.service().to_owned(), ctx.labels().clone()));
    }

    /// The labels that a service saw, each as `name=value`.
    fn of(&self, service: &str) -> Vec<String> {
        let seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let shown = |labels: &Labels| {
            labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        seen.iter().filter(|(of, _)| of == service).map(|(_, labels)| shown(labels)).collect()
    }
}

#[service(name = "labels.leaf")]
async fn leaf(ctx: &Context, text: String, seen: &Seen) -> Result<String> {
    seen.note(ctx);
    Ok(text)
}

#[service(name = "labels.heard")]
async fn heard(ctx: &Context, _: Payload, seen: &Seen, journal: &Journal) -> Result<()> {
    seen.note(ctx);
    journal.write(ctx, "");
    Ok(())
}

#[service(name = "labels.tree", max_attempts = 2, backoff = "1ms")]
async fn tree(ctx: &Context, (): (), seen: &Seen) -> Result<()> {
    seen.note(ctx);
    ctx.invoke_async("labels.leaf", "inherits").await?;
    ctx.invoke_async("labels.leaf", "adds").label("step", 2).label("customer", "43").await?;
    ctx.invoke("labels.leaf", "synchronous").await?;
    ctx.invoke_async("labels.heard", "apart").new_root().label("step", 3).await?;
    ctx.fan_out([("labels.leaf", "a"), ("labels.leaf", "b")])
        .label("step", 4)
        .on_final("labels.heard")
        .await?;
    ctx.chain("labels.leaf", "c").then("labels.heard").label("step", 5).await?;
    if ctx.attempt() == 1 { Err(Failure::new("again")) } else { Ok(()) }
}

async fn bus() -> Result<(Runtime, Seen, Journal), Error> {
    let (seen, journal) = (Seen::default(), Journal::default());
    let services = [tree::service().erased(), leaf::service().erased(), heard::service().erased()];
    let runtime = builder().services(services).provide(seen.clone()).provide(journal.clone()).start().await?;
    Ok((runtime, seen, journal))
}

#[tokio::test]
async fn the_tree_inherits_labels_and_a_new_root_does_not() -> Result<(), Error> {
    let (runtime, seen, journal) = bus().await?;
    let call = runtime.invoke_async(tree::service(), ()).callback("labels.heard");
    let cid = call.label("customer", "41").label("region", "eu").label("customer", "42").await?;
    assert!(runtime.outcome(cid).await?.is_completed());
    // The callback, the new root, the fan-out's end, and the chain's second step.
    journal.wait_for(4).await;
    let own = "customer=42 region=eu".to_owned();
    assert_eq!(seen.of("labels.tree"), [own.clone(), own.clone()]);
    let mut leaves = seen.of("labels.leaf");
    leaves.sort();
    let step = |step| format!("{own} step={step}");
    let adds = "customer=43 region=eu step=2".to_owned();
    // The synchronous call is made by each attempt; the others by the first alone.
    assert_eq!(leaves, [own.clone(), own.clone(), own.clone(), step(4), step(4), step(5), adds]);
    let mut heard = seen.of("labels.heard");
    heard.sort();
    assert_eq!(heard, [own.clone(), step(4), step(5), "step=3".to_owned()]);
    // What is held says so too: the group itself, and all that has ended.
    let found = runtime.find(cid).await?.expect("it is held");
    assert_eq!(found.invocation.labels.get("customer"), Some("42"));
    assert!(runtime.tree(cid).await?.iter().all(|found| found.invocation.labels.get("region") == Some("eu")));
    let page = runtime.explain(cid).await?.to_string();
    assert!(page.contains("customer=42") && page.contains("region=eu"), "{page}");
    runtime.shutdown().await
}

#[tokio::test]
async fn a_group_from_outside_labels_all_its_members() -> Result<(), Error> {
    let (runtime, seen, journal) = bus().await?;
    let call = runtime.fan_out([("labels.leaf", "a"), ("labels.leaf", "b")]).on_final("labels.heard");
    let group = call.label("batch", 7).await?;
    assert!(runtime.outcome(group).await?.is_completed());
    let parallel =
        runtime.parallel([("labels.leaf", "c")]).on_target("labels.heard").label("batch", 8).await?;
    assert!(runtime.outcome(parallel).await?.is_completed());
    journal.wait_for(2).await;
    let mut leaves = seen.of("labels.leaf");
    leaves.sort();
    assert_eq!(leaves, ["batch=7", "batch=7", "batch=8"]);
    let mut heard = seen.of("labels.heard");
    heard.sort();
    assert_eq!(heard, ["batch=7", "batch=8"]);
    runtime.shutdown().await
}

#[service(name = "labels.many")]
async fn inherits(ctx: &Context, (): ()) -> Result<String> {
    ctx.invoke_async("zato.ping", ()).label("l0", "again").label("l15", "the sixteenth").await?;
    let refused = ctx.invoke_async("zato.ping", ()).label("l15", 1).label("l16", 1).await;
    Ok(refused.expect_err("17").to_string())
}

#[tokio::test]
async fn a_label_that_is_not_allowed_is_an_error_of_the_call() -> Result<(), Error> {
    let (runtime, seen, _) = bus().await?;
    let call = || runtime.invoke_async("labels.leaf", "x");
    let many = |count| (0..count).fold(call(), |call, n| call.label(format!("l{n}"), n));
    let refused = [
        call().label("", "x").await,
        call().label("a b", "x").label("fine", "x").await,
        call().label("a", "x\ny").await,
        call().label("a", "x".repeat(257)).await,
        many(17).await,
        runtime.fan_out([("labels.leaf", "x")]).label("a:b", 1).await,
        runtime.parallel([("labels.leaf", "x")]).label("", 1).await,
        runtime.chain("labels.leaf", "x").label("", 1).await,
    ];
    for refused in refused {
        let refused = refused.expect_err("it is not allowed");
        assert!(matches!(refused, CallError::Option(_)) && refused.is_permanent(), "{refused}");
    }
    assert!(runtime.list(Filter::new()).await?.is_empty() && seen.of("labels.leaf").is_empty());
    // With those that it inherits, a child of 15 may have one of its own, and not two.
    let other = builder().services([inherits::service().erased()]).start().await?;
    let call = (0..15).fold(other.invoke_async("labels.many", ()), |call, n| call.label(format!("l{n}"), n));
    let outcome = other.outcome(call.await?).await?;
    assert!(outcome.to_string().contains("17 labels, 15 of them inherited"), "{outcome}");
    other.shutdown().await?;
    runtime.shutdown().await
}

#[service(name = "labels.card")]
async fn card(_: &Context, amount: u64) -> Result<()> {
    Err(Failure::permanent(format!("{amount} was declined")).code("card.declined"))
}

/// Its caller's code is that of the call, unless it says another.
#[service(name = "labels.shop", max_attempts = 2, backoff = "1ms")]
async fn shop(ctx: &Context, amount: u64) -> Result<()> {
    if ctx.attempt() == 1 {
        return Err(Failure::new("the line is busy").code("line.busy"));
    }
    ctx.invoke(card::service(), amount).await?;
    Ok(())
}

#[service(name = "labels.report")]
async fn report(ctx: &Context, report: FailureReport, journal: &Journal) -> Result<()> {
    let raw: serde_json::Value = ctx.payload().decode()?;
    journal.write(ctx, format!("{} {:?} {}", report.outcome, report.code, raw["code"]));
    Ok(())
}

#[service(name = "labels.rows")]
async fn rows(ctx: &Context, rows: Vec<serde_json::Value>, journal: &Journal) -> Result<()> {
    let codes: Vec<_> = rows.iter().map(|row| row.get("code").map(ToString::to_string)).collect();
    journal.write(ctx, format!("{codes:?}"));
    Ok(())
}

#[tokio::test]
async fn a_code_goes_wherever_its_error_goes() -> Result<(), Error> {
    let (url, journal) = (durable(), Journal::default());
    let start = || {
        let services = [
            card::service().erased(),
            shop::service().erased(),
            report::service().erased(),
            rows::service().erased(),
        ];
        Runtime::builder().engine(&url).services(services).provide(journal.clone()).start()
    };
    let runtime = start().await?;
    let shop =
        runtime.invoke_async("labels.shop", 7).label("customer", 42).on_failure("labels.report").await?;
    let outcome = runtime.outcome(shop).await?;
    assert_eq!((outcome.name(), outcome.code()), ("Failed", Some("card.declined")), "{outcome}");
    assert_eq!(journal.wait_for(1).await[0].text, r#"Failed Some("card.declined") "card.declined""#);
    let timed_out = runtime.invoke_async("labels.rows", "not rows").on_failure("labels.report").await?;
    assert_eq!(runtime.outcome(timed_out).await?.code(), None);
    assert_eq!(journal.wait_for(2).await[1].text, "Undecodable None null");
    let group = [("labels.card", "1"), ("zato.ping", "2")];
    runtime.fan_out(group).on_final("labels.rows").await?;
    assert_eq!(journal.wait_for(3).await[2].text, r#"[Some("\"card.declined\""), None]"#);
    let chain = runtime.chain("zato.helpers.echo", "3").then("labels.card").await?;
    assert_eq!(runtime.outcome(chain).await?.code(), Some("card.declined"));
    runtime.shutdown().await?;

    let runtime = start().await?;
    let found = runtime.find(shop).await?.expect("it is held");
    assert_eq!(found.outcome().and_then(|outcome| outcome.code()), Some("card.declined"));
    let before = found.before.clone().expect("it was tried twice");
    assert_eq!(before.tried[0].code.as_deref(), Some("line.busy"));
    let page = runtime.explain(shop).await?.to_string();
    for shown in ["card.declined", "line.busy", "customer=42"] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    runtime.shutdown().await
}
