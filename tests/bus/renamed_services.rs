//! A service that has got another name takes what waits under the one before, also what others wait to tell it.

use std::sync::Arc;

use tokio::sync::Semaphore;
use zato_core::{CallError, Cid, Context, Failure, Result, service};
use zato_runtime::{Filter, InvocationInfo, Runtime, Status, WaitReason};

use crate::builder;

use crate::journal::Journal;

#[service(name = "formerly.bill")]
async fn bill(_: &Context, text: String, _journal: &Journal) -> Result<String> {
    Ok(text)
}

#[service(name = "formerly.billed")]
async fn billed(_: &Context, _text: String) -> Result<()> {
    Ok(())
}

#[service(name = "formerly.invoice", formerly = ["formerly.bill"])]
async fn invoice(_: &Context, text: String) -> Result<String> {
    Ok(format!("invoice for {text}"))
}

#[service(name = "formerly.invoiced", formerly = "formerly.billed")]
async fn invoiced(ctx: &Context, text: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, text);
    Ok(())
}

#[tokio::test]
async fn what_waits_under_a_former_name_is_run_under_the_new_one() -> Result<(), zato_runtime::Error> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = format!("sqlite:{}", directory.path().join("zato.db").display());
    let (before, after) = (Journal::default(), Journal::default());
    let runtime = Runtime::builder()
        .engine(&url)
        .services([bill::service().erased(), billed::service().erased()])
        .provide(before)
        .start()
        .await?;
    runtime.pause("formerly.bill").await?;
    let cid = runtime.invoke_async("formerly.bill", "seven").callback("formerly.billed").await?;
    runtime.shutdown().await?;

    let runtime = Runtime::builder()
        .engine(&url)
        .services([invoice::service().erased(), invoiced::service().erased()])
        .provide(after.clone())
        .start()
        .await?;
    // It was paused, and still is.
    assert!(matches!(
        runtime.find(cid).await?.expect("it is held").status,
        Status::Waiting(WaitReason::Resume)
    ));
    runtime.resume("formerly.invoice").await?;
    assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: invoice for seven");
    let found = runtime.find(cid).await?.expect("it is held");
    assert_eq!(found.service(), "formerly.invoice");
    let lines = after.wait_for(1).await;
    assert_eq!((&*lines[0].service, &*lines[0].text), ("formerly.invoiced", "invoice for seven"));
    runtime.shutdown().await
}

/// Holds a handler back until the test lets it go on.
#[derive(Debug, Clone)]
struct Gate(Arc<Semaphore>);

/// A call, a group and a chain, and the CIDs that they were answered with.
async fn calls(ctx: &Context, target: &'static str, callback: &'static str) -> Result<String> {
    let one = ctx.invoke_async(target, "one").callback(callback).await?;
    let group = ctx.fan_out([(target, "a"), (target, "b")]).on_target(callback).on_final(callback).await?;
    let chain = ctx.chain(target, "c").then(callback).then(target).await?;
    Ok(format!("{one} {group} {chain}"))
}

#[service(name = "formerly.order", max_attempts = 3, backoff = "1ms")]
async fn order(ctx: &Context, (): (), journal: &Journal, gate: &Gate) -> Result<()> {
    journal.write(ctx, calls(ctx, "formerly.bill", "formerly.billed").await?);
    gate.0.acquire().await?.forget();
    Err(Failure::new("again"))
}

#[service(name = "formerly.purchase", formerly = ["formerly.order"], max_attempts = 3, backoff = "1ms")]
async fn purchase(ctx: &Context, (): (), journal: &Journal) -> Result<()> {
    journal.write(ctx, calls(ctx, "formerly.invoice", "formerly.invoiced").await?);
    Ok(())
}

#[service(name = "formerly.broken")]
async fn broken(_: &Context, (): ()) -> Result<()> {
    Err(Failure::permanent("not yet mended"))
}

#[service(name = "formerly.mended", formerly = ["formerly.broken"])]
async fn mended(_: &Context, (): ()) -> Result<String> {
    Ok("mended".to_owned())
}

/// The third name of one service; whoever writes it lists those before, or the last alone.
#[service(name = "formerly.third", formerly = ["formerly.mended"])]
async fn third(_: &Context, (): ()) -> Result<String> {
    Ok("third".to_owned())
}

async fn before(url: &str, journal: &Journal, gate: &Gate) -> Result<Runtime, zato_runtime::Error> {
    let services = [
        bill::service().erased(),
        billed::service().erased(),
        order::service().erased(),
        broken::service().erased(),
    ];
    Runtime::builder()
        .engine(url)
        .services(services)
        .provide(journal.clone())
        .provide(gate.clone())
        .start()
        .await
}

async fn after(url: &str, journal: &Journal) -> Result<Runtime, zato_runtime::Error> {
    let services = [
        invoice::service().erased(),
        invoiced::service().erased(),
        purchase::service().erased(),
        mended::service().erased(),
    ];
    Runtime::builder().engine(url).services(services).provide(journal.clone()).start().await
}

fn gate() -> Gate {
    Gate(Arc::new(Semaphore::new(0)))
}

#[tokio::test]
async fn a_handler_that_was_renamed_does_not_repeat_its_calls_of_what_was_renamed()
-> Result<(), zato_runtime::Error> {
    let (url, journal, gate) = (builder::durable(), Journal::default(), gate());
    let runtime = before(&url, &journal, &gate).await?;
    runtime.pause("formerly.bill").await?;
    let cid = runtime.invoke_async("formerly.order", ()).await?;
    journal.wait_for(1).await;
    // Its second attempt is for the next program.
    runtime.pause("formerly.order").await?;
    gate.0.add_permits(1);
    runtime.shutdown().await?;

    let runtime = after(&url, &journal).await?;
    runtime.resume("formerly.purchase").await?;
    assert!(runtime.outcome(cid).await?.is_completed());
    let lines = journal.lines();
    let attempts: Vec<_> = lines.iter().map(|line| (&*line.service, line.attempt)).collect();
    assert_eq!(attempts, [("formerly.order", 1), ("formerly.purchase", 2)]);
    assert_eq!(lines[0].text, lines[1].text, "each call is answered with the child of the first attempt");
    // The steps to come have their names of today, and so has the caller.
    let tree = runtime.tree(cid).await?;
    assert!(!tree.is_empty());
    for found in &tree {
        let names = [Some(found.service()), found.invocation.caller.as_deref()];
        assert!(
            !names.iter().flatten().any(|name| ["formerly.bill", "formerly.order"].contains(name)),
            "{found:?}"
        );
    }
    runtime.resume("formerly.invoice").await?;
    let chain: Cid = lines[0].text.rsplit(' ').next().and_then(|cid| cid.parse().ok()).expect("a CID");
    // The step between returns nothing, which is no text.
    let outcome = runtime.outcome(chain).await?;
    assert!(outcome.error().is_none_or(|error| error.contains("formerly.invoice")), "{outcome}");
    let steps =
        runtime.find(chain).await?.expect("it is held").invocation.options.clone().expect("a chain").steps;
    let steps: Vec<_> = steps.iter().map(zato_core::ServiceName::as_str).collect();
    assert_eq!(steps, ["formerly.invoice", "formerly.invoiced", "formerly.invoice"]);
    runtime.shutdown().await
}

#[tokio::test]
async fn an_idempotency_key_is_the_same_under_every_name() -> Result<(), zato_runtime::Error> {
    let (url, journal) = (builder::durable(), Journal::default());
    let runtime = before(&url, &journal, &gate()).await?;
    let call = runtime.invoke_async("formerly.bill", "seven").callback("formerly.billed");
    let first = call.idempotency_key("k").await?;
    assert!(runtime.outcome(first).await?.is_completed());
    runtime.shutdown().await?;

    let runtime = after(&url, &journal).await?;
    for name in ["formerly.invoice", "formerly.bill"] {
        let call = runtime.invoke_async(name, "seven").callback("formerly.invoiced").idempotency_key("k");
        assert_eq!(call.await?, first, "{name}");
        let other =
            runtime.invoke_async(name, "eight").callback("formerly.invoiced").idempotency_key("k").await;
        assert!(matches!(other, Err(CallError::KeyConflict { first: of, .. }) if of == first), "{other:?}");
    }
    assert_eq!(runtime.list(Filter::new().service("formerly.invoice")).await?.len(), 1);
    runtime.shutdown().await
}

#[tokio::test]
async fn dead_letters_are_those_of_the_service_whatever_it_was_called() -> Result<(), zato_runtime::Error> {
    let (url, journal) = (builder::durable(), Journal::default());
    let runtime = before(&url, &journal, &gate()).await?;
    let mut dead = Vec::new();
    for _ in 0..3 {
        dead.push(runtime.invoke_async("formerly.broken", ()).await?);
    }
    for cid in &dead {
        assert!(!runtime.outcome(*cid).await?.is_completed());
    }
    runtime.shutdown().await?;

    let runtime = after(&url, &journal).await?;
    for name in ["formerly.mended", "formerly.broken"] {
        let listed = runtime.list(Filter::dead().service(name)).await?;
        assert_eq!(
            listed.iter().map(InvocationInfo::service).collect::<Vec<_>>(),
            ["formerly.mended"; 3],
            "{name}"
        );
    }
    let again = runtime.run_again(dead[0]).await?;
    assert_eq!(runtime.outcome(again).await?.to_string(), "Completed: mended");
    runtime.discard(dead[1]).await?;
    assert!(runtime.explain(dead[2]).await?.to_string().contains("formerly.mended"));
    runtime.shutdown().await?;

    // The program that hosts the service under its first name again knows nothing of a rename.
    let runtime = before(&url, &journal, &gate()).await?;
    assert_eq!(runtime.list(Filter::dead().service("formerly.broken")).await?.len(), 1);
    runtime.shutdown().await?;

    // Renamed twice: the third program names the second name alone.
    after(&url, &journal).await?.shutdown().await?;
    let runtime = Runtime::builder().engine(&url).services([third::service().erased()]).start().await?;
    let listed = runtime.list(Filter::dead().service("formerly.third")).await?;
    assert_eq!(listed.iter().map(InvocationInfo::cid).collect::<Vec<_>>(), [dead[2]]);
    let again = runtime.run_again(dead[2]).await?;
    assert_eq!(runtime.outcome(again).await?.to_string(), "Completed: third");
    runtime.shutdown().await
}

/// A deployment that does not work out is rolled back: the program of before hosts the services under their first names,
/// and knows nothing of a rename.
#[tokio::test]
async fn a_program_that_is_rolled_back_has_all_that_its_services_had() -> Result<(), zato_runtime::Error> {
    let (url, journal, gate) = (builder::durable(), Journal::default(), gate());
    let runtime = before(&url, &journal, &gate).await?;
    let keyed = async |runtime: &Runtime, name: &'static str| {
        let call = runtime.invoke_async(name, "seven").callback("zato.helpers.input-logger");
        call.idempotency_key("k").await
    };
    let first = keyed(&runtime, "formerly.bill").await?;
    assert!(runtime.outcome(first).await?.is_completed());
    let cid = runtime.invoke_async("formerly.order", ()).await?;
    journal.wait_for(1).await;
    runtime.pause("formerly.order").await?;
    gate.0.add_permits(1);
    runtime.shutdown().await?;

    let runtime = after(&url, &Journal::default()).await?;
    runtime.pause("formerly.invoice").await?;
    let waits = runtime.invoke_async("formerly.invoice", "eight").concurrency_key("lane").await?;
    let behind = runtime.invoke_async("formerly.invoice", "nine").concurrency_key("lane").await?;
    runtime.shutdown().await?;

    let runtime = before(&url, &journal, &gate).await?;
    assert!(matches!(
        runtime.find(waits).await?.expect("it is held").status,
        Status::Waiting(WaitReason::Resume)
    ));
    runtime.resume("formerly.bill").await?;
    assert_eq!(runtime.outcome(waits).await?.to_string(), "Completed: eight");
    assert_eq!(runtime.outcome(behind).await?.to_string(), "Completed: nine");
    for name in ["formerly.bill", "formerly.invoice"] {
        assert_eq!(keyed(&runtime, name).await?, first, "{name}");
        assert_eq!(runtime.list(Filter::new().service(name)).await?.len(), 8, "{name}");
    }
    gate.0.add_permits(1);
    runtime.resume("formerly.order").await?;
    let lines = journal.wait_for(2).await;
    assert_eq!((&*lines[1].service, lines[1].attempt), ("formerly.order", 2));
    assert_eq!(lines[0].text, lines[1].text, "each call is answered with the child of the first attempt");
    runtime.pause("formerly.order").await?;
    runtime.shutdown().await?;

    // And forward again.
    let runtime = after(&url, &journal).await?;
    assert_eq!(keyed(&runtime, "formerly.invoice").await?, first);
    runtime.resume("formerly.purchase").await?;
    assert!(runtime.outcome(cid).await?.is_completed());
    let last = journal.lines().into_iter().rfind(|line| line.service == "formerly.purchase");
    assert_eq!(last.expect("it has run").text, lines[0].text);
    runtime.shutdown().await
}

/// Two names became one: which of them has what came after is not known.
#[tokio::test]
async fn what_two_services_have_become_is_not_rolled_back_to_one() -> Result<(), zato_runtime::Error> {
    #[service(name = "formerly.both", formerly = ["formerly.billed", "formerly.broken"])]
    async fn both(_: &Context, (): ()) -> Result<()> {
        Ok(())
    }

    let (url, journal) = (builder::durable(), Journal::default());
    before(&url, &journal, &gate()).await?.shutdown().await?;
    let runtime = Runtime::builder().engine(&url).services([both::service().erased()]).start().await?;
    runtime.pause(both::NAME).await?;
    let cid = runtime.invoke_async(both::service(), ()).await?;
    runtime.shutdown().await?;
    let runtime = before(&url, &journal, &gate()).await?;
    let found = runtime.find(cid).await?.expect("it is held");
    assert_eq!(found.service(), both::NAME);
    assert!(matches!(found.status, Status::Waiting(_)), "{found:?}");
    runtime.shutdown().await
}

/// Who calls a service of another process may call it by the name that it knows.
#[tokio::test]
async fn a_former_name_of_a_service_of_another_process_is_known() -> Result<(), zato_runtime::Error> {
    let (url, journal) = (builder::durable(), Journal::default());
    before(&url, &journal, &gate()).await?.shutdown().await?;
    after(&url, &journal).await?.shutdown().await?;

    let runtime = Runtime::builder().engine(&url).services([]).start().await?;
    let call = runtime.invoke_async("formerly.bill", "seven").callback("formerly.billed");
    let cid = call.await?;
    let found = runtime.find(cid).await?.expect("it is held");
    assert_eq!((found.service(), &*found.invocation.callbacks[0]), ("formerly.invoice", "formerly.invoiced"));
    runtime.shutdown().await?;

    let runtime = after(&url, &journal).await?;
    assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: invoice for seven");
    journal.wait_for(1).await;
    runtime.shutdown().await
}

/// On every engine: a call by a former name is a call of the service.
#[tokio::test]
async fn a_service_is_called_paused_and_listed_by_a_former_name() -> Result<(), zato_runtime::Error> {
    let runtime = builder::builder().services([invoice::service().erased()]).start().await?;
    runtime.pause("formerly.bill").await?;
    let cid = runtime.invoke_async("formerly.bill", "seven").await?;
    assert!(matches!(
        runtime.find(cid).await?.expect("it is held").status,
        Status::Waiting(WaitReason::Resume)
    ));
    assert_eq!(runtime.list(Filter::new().service("formerly.bill")).await?.len(), 1);
    runtime.resume("formerly.invoice").await?;
    assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: invoice for seven");
    assert_eq!(runtime.find(cid).await?.expect("it is held").service(), "formerly.invoice");
    assert_eq!(runtime.invoke("formerly.bill", "eight").await?.to_string(), "invoice for eight");
    runtime.shutdown().await
}
