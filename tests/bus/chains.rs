//! Chains: services one after the other, each with the response of the one before.

use std::time::Duration;

use zato_core::{CallError, Cid, Context, Failure, FailureReport, Result, service};
use zato_runtime::{Cancellation, Error, Filter, Outcome, Runtime, Status, WaitReason};

use crate::builder::{builder, finish};
use crate::journal::Journal;

#[service(name = "chains.price")]
async fn price(ctx: &Context, id: u64, journal: &Journal) -> Result<u64> {
    journal.write(ctx, id);
    Ok(id * 100)
}

/// Fails at its first attempt, and for good where the price is odd in its hundreds.
#[service(name = "chains.charge", max_attempts = 2, backoff = "1s")]
async fn charge(ctx: &Context, cents: u64, journal: &Journal) -> Result<String> {
    journal.write(ctx, cents);
    if !cents.is_multiple_of(200) {
        return Err(Failure::permanent(format!("no account for {cents}")));
    }
    if ctx.attempt() == 1 {
        return Err(Failure::new("not yet"));
    }
    Ok(format!("charged {cents}"))
}

#[service(name = "chains.receipt")]
async fn receipt(ctx: &Context, text: String, journal: &Journal) -> Result<String> {
    journal.write(ctx, &text);
    Ok(format!("receipt: {text}"))
}

/// Waits until it is told, and completes then.
#[service(name = "chains.polite")]
async fn polite(ctx: &Context, text: String, journal: &Journal) -> Result<String> {
    journal.write(ctx, &text);
    ctx.cancelled().await;
    Ok(text)
}

/// Makes a chain in the way that its request says, and tells its CID or why there is none.
#[service(name = "chains.caller")]
async fn caller(ctx: &Context, how: (String, u64)) -> Result<String> {
    let (how, id) = how;
    let chain = ctx.chain(price::service(), id).then(charge::service()).then(receipt::service());
    let by_name = ctx.chain("chains.price", id).then("chains.charge").then("chains.receipt");
    let made = match how.as_str() {
        "typed" => chain.await,
        "by name" => by_name.await,
        "callback" => chain.callback(hears::service()).await,
        "failure callback" => chain.on_failure(told::service()).await,
        "several" => by_name.callback(hears::NAME).callback(hears::NAME).on_failure(told::NAME).await,
        "none" => by_name.no_callback().await,
        "unknown step" => by_name.then("chains.reciept").await,
        "unknown first" => ctx.chain("chains.prise", id).then("chains.charge").await,
        _ => chain.callback("chains.heard").await,
    };
    Ok(made.map_or_else(|error| error.to_string(), |cid| cid.to_string()))
}

#[service]
async fn caller_async_callback(ctx: &Context, reply: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, reply);
    Ok(())
}

#[service]
async fn caller_async_failure(ctx: &Context, report: FailureReport, journal: &Journal) -> Result<()> {
    journal.write(ctx, format!("{}: {}", report.step.unwrap_or_default(), report.error));
    Ok(())
}

#[service(name = "chains.hears")]
async fn hears(ctx: &Context, reply: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, reply);
    Ok(())
}

#[service(name = "chains.told")]
async fn told(ctx: &Context, report: FailureReport, journal: &Journal) -> Result<()> {
    journal.write(ctx, serde_json::to_string(&report)?);
    Ok(())
}

/// Makes the same chain in each of its attempts.
#[service(name = "chains.again", max_attempts = 3, backoff = "10s")]
async fn again(ctx: &Context, id: u64, journal: &Journal) -> Result<()> {
    let chain = ctx.chain(price::service(), id).then(charge::service()).callback(hears::service()).await?;
    journal.write(ctx, chain);
    if ctx.attempt() < 3 { Err(Failure::new("again")) } else { Ok(()) }
}

async fn start(journal: &Journal) -> Result<Runtime, Error> {
    builder()
        .services([
            price::service().erased(),
            charge::service().erased(),
            receipt::service().erased(),
            polite::service().erased(),
            caller::service().erased(),
            caller_async_callback::service().erased(),
            caller_async_failure::service().erased(),
            hears::service().erased(),
            told::service().erased(),
            again::service().erased(),
        ])
        .provide(journal.clone())
        .start()
        .await
}

/// What the caller says of the chain that it made, and what came of it.
async fn run(how: &str, id: u64) -> Result<(String, Journal), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let said = runtime.invoke(caller::service(), (how.to_owned(), id)).await?;
    finish(&runtime).await?;
    Ok((said, journal))
}

/// Who wrote what.
fn told_of(journal: &Journal) -> Vec<(String, String)> {
    journal.lines().into_iter().map(|line| (line.service, line.text)).collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(service, text)| (service.to_owned(), text.to_owned())).to_vec()
}

/// What the three steps write, where all goes well.
const STEPS: [(&str, &str); 4] = [
    ("chains.price", "2"),
    ("chains.charge", "200"),
    ("chains.charge", "200"),
    ("chains.receipt", "charged 200"),
];

#[tokio::test(start_paused = true)]
async fn each_step_receives_the_response_of_the_one_before() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let typed = runtime.chain(price::service(), 2).then(charge::service()).then(receipt::service()).await?;
    assert_eq!(runtime.outcome(typed).await?.to_string(), "Completed: receipt: charged 200");
    assert_eq!(told_of(&journal), pairs(STEPS));
    for line in journal.lines() {
        assert_eq!((&*line.channel, line.root), ("chain-step", typed), "{}", line.service);
        assert_eq!((line.parent, line.caller, line.in_reply_to), (None, None, None), "{}", line.service);
    }
    // By name a step takes whatever it can read.
    let by_name = runtime.chain("chains.price", "4").then(receipt::NAME).then("zato.helpers.echo").await?;
    assert_eq!(runtime.outcome(by_name).await?.to_string(), "Completed: receipt: 400");
    let alone = runtime.chain(price::service(), 5).await?;
    assert_eq!(runtime.outcome(alone).await?.to_string(), "Completed: 500");
    finish(&runtime).await?;
    assert_eq!(journal.lines().len(), 4 + 2 + 1, "from outside nothing is called back by convention");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_callers_callback_receives_the_last_response_once() -> Result<(), Error> {
    for how in ["typed", "by name", "failure callback"] {
        let (said, journal) = run(how, 2).await?;
        let [rest @ .., callback] = &journal.lines()[..] else { panic!("{how}: nothing was written") };
        assert_eq!(told_of(&journal)[..4], pairs(STEPS), "{how}");
        assert_eq!((rest.len(), &*callback.service), (4, caller_async_callback::NAME), "{how}");
        assert_eq!(callback.text, "receipt: charged 200", "{how}");
        let chain: Cid = said.parse().expect("the caller says the chain's CID");
        assert_eq!((callback.in_reply_to, callback.parent), (Some(chain), Some(chain)), "{how}");
        assert_eq!(callback.caller.as_deref(), Some("zato.chain"), "{how}");
        assert!(rest.iter().all(|step| step.caller.as_deref() == Some(caller::NAME)), "{how}");
        assert!(rest.iter().all(|step| step.root == callback.root), "{how}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn callbacks_that_are_named_replace_the_convention() -> Result<(), Error> {
    let response = "receipt: charged 200";
    let cases = [
        ("callback", vec![("chains.hears", response)]),
        ("several", vec![("chains.hears", response); 2]),
        ("none", vec![]),
    ];
    for (how, expected) in cases {
        let (_, journal) = run(how, 2).await?;
        let heard = told_of(&journal).split_off(4);
        let expected: Vec<_> =
            expected.into_iter().map(|(service, text)| (service.to_owned(), text.to_owned())).collect();
        assert_eq!(heard, expected, "{how}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_ends_the_chain_and_is_named() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let said = runtime.invoke(caller::service(), ("failure callback".to_owned(), 3)).await?;
    let chain: Cid = said.parse().expect("the caller says the chain's CID");
    let outcome = runtime.outcome(chain).await?;
    finish(&runtime).await?;
    let step = journal.of(charge::NAME).remove(0).cid;
    let error = format!("step 2 of 3, `chains.charge` ({step}): no account for 300");
    assert_eq!(outcome.to_string(), format!("Failed: {error}"));
    assert!(outcome.ending().is_some_and(|ending| ending.permanent), "as the step's failure is");
    assert!(journal.of(receipt::NAME).is_empty(), "what comes after it is not called");
    let told = journal.of(told::NAME);
    assert_eq!(told.len(), 1);
    let report: FailureReport = serde_json::from_str(&told[0].text).expect("a report is JSON");
    assert_eq!((report.cid, &*report.service), (chain, "zato.chain"));
    assert_eq!((report.step.as_deref(), report.error), (Some("chains.charge"), error.clone()));
    assert_eq!(report.payload.as_deref(), Some("3"), "what the chain was called with");
    assert_eq!(told[0].in_reply_to, Some(chain));

    let (_, journal) = run("callback", 3).await?;
    let told = journal.of(caller_async_failure::NAME);
    assert_eq!(told.len(), 1, "a failure still goes by convention");
    assert!(told[0].text.starts_with("chains.charge: step 2 of 3, `chains.charge` ("), "{}", told[0].text);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_unknown_step_refuses_the_call_before_anything_runs() -> Result<(), Error> {
    let cases = [
        (
            "unknown step",
            "no service is named `chains.reciept`, which was given as the step: did you mean `chains.receipt`?",
        ),
        ("unknown first", "no service is named `chains.prise`: did you mean `chains.price`?"),
        (
            "unknown callback",
            "no service is named `chains.heard`, which was given as the callback: did you mean `chains.hears`?",
        ),
    ];
    for (how, expected) in cases {
        let (said, journal) = run(how, 2).await?;
        assert!(said.starts_with(expected), "{how}: {said}");
        assert!(journal.lines().is_empty(), "{how}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_chain_stands_where_its_step_stands_and_is_cancelled_with_it() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.pause(charge::NAME).await?;
    let chain = runtime.chain(price::service(), 2).then(charge::service()).then(receipt::service());
    let chain = chain.callback(hears::service()).on_failure(told::service()).await?;
    journal.wait_for(1).await;
    let tree = runtime.tree(chain).await?;
    let [group, first, second] = &tree[..] else { panic!("{tree:?}") };
    assert!(matches!(group.status, Status::Open(1)), "{:?}", group.status);
    assert!(first.outcome().is_some_and(Outcome::is_completed));
    assert!(matches!(second.status, Status::Waiting(WaitReason::Resume)), "{:?}", second.status);
    let page = runtime.explain(chain).await?.to_string();
    for part in [
        "zato.chain",
        "open: its steps have not all ended",
        "paused: chains.charge",
        &second.cid().to_string(),
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert_eq!(runtime.cancel(chain).await?, Cancellation::Requested);
    let outcome = runtime.outcome(chain).await?;
    let second = second.cid();
    let expected =
        format!("Cancelled: step 2 of 3, `chains.charge` ({second}): it was cancelled while it waited");
    assert_eq!(outcome.to_string(), expected);
    let Cancellation::Ended(ended) = runtime.cancel(chain).await? else { panic!("it has ended") };
    assert_eq!(ended, outcome);
    finish(&runtime).await?;
    assert_eq!(journal.lines().len(), 2, "the first step, and who is told of the failure");
    assert_eq!(journal.of(told::NAME)[0].in_reply_to, Some(chain));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_step_that_completes_though_the_chain_is_cancelled_is_its_last() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let chain = runtime.chain(polite::service(), "x").then(receipt::service()).await?;
    journal.wait_for(1).await;
    assert_eq!(runtime.cancel(chain).await?, Cancellation::Requested);
    let outcome = runtime.outcome(chain).await?.to_string();
    assert!(outcome.starts_with("Cancelled: step 2 of 2, `chains.receipt` ("), "{outcome}");
    finish(&runtime).await?;
    assert_eq!(journal.lines().len(), 1);
    // Where it is the last anyway, the chain completes.
    let runtime = start(&journal).await?;
    let chain = runtime.chain(receipt::service(), "x").then(polite::service()).await?;
    journal.wait_for(3).await;
    runtime.cancel(chain).await?;
    assert_eq!(runtime.outcome(chain).await?.to_string(), "Completed: receipt: x");
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_run_again_makes_its_chain_once() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let root = runtime.invoke_async(again::service(), 2).await?;
    assert!(runtime.outcome(root).await?.is_completed());
    finish(&runtime).await?;
    let made: Vec<_> = journal.of(again::NAME).into_iter().map(|line| line.text).collect();
    assert_eq!(made, vec![made[0].clone(); 3]);
    assert_eq!((journal.of(price::NAME).len(), journal.of(hears::NAME).len()), (1, 1));
    // The handler, the chain, its two steps, the callback.
    assert_eq!(runtime.tree(root).await?.len(), 5);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_has_failed_is_run_again_from_its_first_step() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let chain =
        runtime.chain(price::service(), 3).then(charge::service()).on_failure(told::service()).await?;
    runtime.outcome(chain).await?;
    let dead = runtime.list(Filter::dead().service("zato.chain")).await?;
    assert_eq!(dead.iter().map(zato_runtime::InvocationInfo::cid).collect::<Vec<_>>(), [chain]);

    let step = journal.of(charge::NAME).remove(0).cid;
    let error = runtime.run_again(step).await.unwrap_err();
    assert!(matches!(error, CallError::NotDead { cid, .. } if cid == step));
    assert!(error.to_string().ends_with(&format!("it is a step of the chain {chain}, which is")), "{error}");

    let second = runtime.run_again(chain).await?;
    let outcome = runtime.outcome(second).await?.to_string();
    assert!(outcome.starts_with("Failed: step 2 of 2, `chains.charge` ("), "{outcome}");
    let error = runtime.run_again(chain).await.unwrap_err().to_string();
    assert!(error.ends_with(&format!("it has been run again, as {second}")), "{error}");
    assert_eq!(runtime.find(second).await?.expect("it is held").invocation.again_of(), Some(chain));
    let found = runtime.find(chain).await?.expect("it is held");
    assert!(matches!(found.status, Status::Ended { again: Some(cid), .. } if cid == second));
    finish(&runtime).await?;
    let texts: Vec<_> = journal.of(price::NAME).into_iter().map(|line| line.text).collect();
    assert_eq!(texts, ["3", "3"], "on the same request");
    let told: Vec<_> = journal.of(told::NAME).into_iter().map(|line| line.in_reply_to).collect();
    assert_eq!(told, [Some(chain), Some(second)], "with the same callbacks");
    // Both chains, their two steps each, and who is told of each, in one tree.
    assert_eq!(runtime.tree(second).await?.len(), 8);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_steps_inherit_the_deadline_of_the_caller() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.pause(charge::NAME).await?;
    let deadline = std::time::SystemTime::now() + Duration::from_secs(10);
    let request = ("typed".to_owned(), 2);
    let root = runtime.invoke_async(caller::service(), request).deadline(deadline).await?;
    let said = runtime.outcome(root).await?.payload().expect("it completed").to_string();
    let chain: Cid = said.parse().expect("the caller says the chain's CID");
    let outcome = runtime.outcome(chain).await?.to_string();
    assert!(outcome.starts_with("TimedOut: step 2 of 3, `chains.charge` ("), "{outcome}");
    assert!(outcome.ends_with("its deadline passed before its first attempt"), "{outcome}");
    finish(&runtime).await?;
    assert_eq!(journal.of(caller_async_failure::NAME).len(), 1);
    Ok(())
}
