//! Dead letters: kept, listed, run again, discarded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;
use zato_core::{CallError, Cid, Context, Failure, FailureReport, Result, service};
use zato_runtime::{Error, Filter, InvocationInfo, Outcome, Runtime, Status};

use crate::builder::{builder, finish, is_durable, swept};
use crate::journal::Journal;

/// Whether what failed has been mended.
#[derive(Clone, Default)]
struct Mended(Arc<AtomicBool>);

#[service(name = "dead.fails", timeout = "10s")]
async fn fails(ctx: &Context, text: String, journal: &Journal, mended: &Mended) -> Result<String> {
    journal.write(ctx, &text);
    match (mended.0.load(Ordering::SeqCst), text.as_str()) {
        (true, _) => Ok(format!("{text}, mended")),
        (false, "hangs") => std::future::pending().await,
        (false, _) => Err(Failure::permanent(text)),
    }
}

/// Fails inside another.
#[service(name = "dead.calls")]
async fn calls(ctx: &Context, callbacks: bool) -> Result<String> {
    if !callbacks {
        return Ok(ctx.invoke(fails::service(), "inside").await.unwrap_err().to_string());
    }
    let call = ctx.invoke_async(fails::service(), "below").callback(hears::service());
    Ok(call.on_failure(told::service()).max_attempts(3).idempotency_key("one").await?.to_string())
}

#[service(name = "dead.hears")]
async fn hears(ctx: &Context, text: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, text);
    Ok(())
}

#[service(name = "dead.told")]
async fn told(ctx: &Context, report: FailureReport, journal: &Journal) -> Result<()> {
    journal.write(ctx, report.error);
    Ok(())
}

async fn start(journal: &Journal, mended: &Mended) -> Result<Runtime, Error> {
    start_keeping(journal, mended, 100_000, Duration::MAX).await
}

async fn start_keeping(
    journal: &Journal,
    mended: &Mended,
    most: usize,
    longest: Duration,
) -> Result<Runtime, Error> {
    builder()
        .services([
            fails::service().erased(),
            calls::service().erased(),
            hears::service().erased(),
            told::service().erased(),
        ])
        .provide(journal.clone())
        .provide(mended.clone())
        .keep_dead(most)
        .keep_dead_for(longest)
        // On disk it would be gone before it can be asked for.
        .keep_ended(if is_durable() { 1_000 } else { 0 })
        .start()
        .await
}

async fn dead(runtime: &Runtime) -> Result<Vec<Cid>, Error> {
    Ok(runtime.list(Filter::dead()).await?.iter().map(InvocationInfo::cid).collect())
}

/// One that has failed.
async fn letter(runtime: &Runtime, text: &str) -> Result<Cid, Error> {
    let cid = runtime.invoke_async(fails::service(), text).await?;
    assert!(!runtime.outcome(cid).await?.is_completed());
    Ok(cid)
}

fn why(error: CallError, expected: Cid) -> String {
    let text = error.to_string();
    match error {
        CallError::NotDead { cid, why } => {
            assert_eq!(cid, expected);
            assert_eq!(text, format!("{cid} is not a dead letter that can be run again or discarded: {why}"));
            why
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_ends_in_anything_but_success_is_one() -> Result<(), Error> {
    let runtime = start(&Journal::default(), &Mended::default()).await?;
    let failed = letter(&runtime, "no").await?;
    let timed_out = letter(&runtime, "hangs").await?;
    let undecodable = runtime.invoke_async(calls::NAME, "no bool").await?;
    let delay = Duration::from_mins(1);
    let expired = runtime.invoke_async("zato.ping", ()).delay(delay).expires_in(delay / 2).await?;
    let cancelled = runtime.invoke_async("zato.ping", ()).delay(delay).await?;
    runtime.cancel(cancelled).await?;
    runtime.outcome(expired).await?;
    // This one has a callback that is told of it, and is one nonetheless.
    let told = runtime.invoke_async(fails::service(), "no").on_failure(told::service()).await?;
    runtime.outcome(told).await?;
    runtime.invoke_async("zato.ping", ()).await?;
    sleep(Duration::from_secs(1)).await;
    let expected = [told, cancelled, expired, undecodable, timed_out, failed];
    assert_eq!(dead(&runtime).await?, expected);
    for cid in expected {
        assert!(runtime.find(cid).await?.is_some_and(|found| found.is_dead()));
    }
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn one_is_run_again_as_it_was_called_and_each_names_the_other() -> Result<(), Error> {
    let (journal, mended) = (Journal::default(), Mended::default());
    let runtime = start(&journal, &mended).await?;
    let first: Cid = runtime.invoke(calls::service(), true).await?.parse().expect("a CID");
    runtime.outcome(first).await?;
    let failed = runtime.find(first).await?.expect("it is kept").invocation;
    sleep(Duration::from_mins(1)).await;
    mended.0.store(true, Ordering::SeqCst);

    let again = runtime.run_again(first).await?;
    let runs = runtime.find(again).await?.expect("it is held").invocation;
    assert_eq!(runtime.outcome(again).await?.to_string(), "Completed: below, mended");
    assert_eq!(runs.again_of(), Some(first));
    assert_eq!((runs.parent, runs.root, runs.depth), (failed.parent, failed.root, failed.depth));
    assert_eq!((&runs.caller, runs.channel), (&failed.caller, failed.channel));
    assert_eq!((&runs.callbacks, &runs.on_failure), (&failed.callbacks, &failed.on_failure));
    let options = runs.options.as_deref().expect("it has options");
    assert_eq!((options.max_attempts, options.idempotency_key.as_deref()), (Some(3), None));
    let found = runtime.find(first).await?.expect("it is kept");
    assert!(matches!(found.status, Status::Ended { again: Some(cid), .. } if cid == again));
    assert!(!found.is_dead());
    assert_eq!(dead(&runtime).await?, [], "it is listed no longer");
    let page = runtime.explain(first).await?.to_string();
    assert!(page.contains(&format!("run again as {again}")), "{page}");
    finish(&runtime).await?;
    let heard = &journal.of(hears::NAME)[0];
    assert_eq!((&*heard.text, heard.in_reply_to), ("below, mended", Some(again)));
    assert_eq!(journal.of(told::NAME).len(), 1, "of the first");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_again_is_a_dead_letter_itself() -> Result<(), Error> {
    let (journal, mended) = (Journal::default(), Mended::default());
    let runtime = start(&journal, &mended).await?;
    let first = letter(&runtime, "no").await?;
    let second = runtime.run_again(first).await?;
    runtime.outcome(second).await?;
    assert_eq!(dead(&runtime).await?, [second]);
    let error = why(runtime.run_again(first).await.unwrap_err(), first);
    assert_eq!(error, format!("it has been run again, as {second}"));
    let error = why(runtime.discard(first).await.unwrap_err(), first);
    assert_eq!(error, format!("it has been run again, as {second}"));
    mended.0.store(true, Ordering::SeqCst);
    let third = runtime.run_again(second).await?;
    assert_eq!(runtime.outcome(third).await?.to_string(), "Completed: no, mended");
    assert_eq!(dead(&runtime).await?, []);
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn of_many_that_ask_at_once_one_runs_it_again() -> Result<(), Error> {
    let (journal, mended) = (Journal::default(), Mended::default());
    let runtime = start(&journal, &mended).await?;
    let first = letter(&runtime, "no").await?;
    let ask = || {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.run_again(first).await })
    };
    let mut again = Vec::new();
    for asked in [ask(), ask(), ask(), ask()] {
        match asked.await.expect("it does not panic") {
            Ok(cid) => again.push(cid),
            Err(error) => drop(why(error, first)),
        }
    }
    assert_eq!(again.len(), 1);
    finish(&runtime).await?;
    assert_eq!(journal.of(fails::NAME).len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_is_discarded_and_held_no_longer() -> Result<(), Error> {
    let runtime = start(&Journal::default(), &Mended::default()).await?;
    let (first, second) = (letter(&runtime, "one").await?, letter(&runtime, "two").await?);
    runtime.discard(first).await?;
    assert_eq!(dead(&runtime).await?, [second]);
    assert!(runtime.find(first).await?.is_none());
    assert!(matches!(runtime.outcome(first).await, Err(Error::NotHeld(_))));
    for error in [runtime.discard(first).await.unwrap_err(), runtime.run_again(first).await.unwrap_err()] {
        assert!(matches!(error, CallError::NotHeld(cid) if cid == first), "{error}");
    }
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn what_is_none_is_neither_run_again_nor_discarded() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = builder()
        .services([
            fails::service().erased(),
            calls::service().erased(),
            hears::service().erased(),
            told::service().erased(),
        ])
        .provide(journal.clone())
        .provide(Mended::default())
        .start()
        .await?;
    let completed = runtime.invoke_async(calls::service(), false).await?;
    assert!(runtime.outcome(completed).await?.is_completed());
    let inside = journal.of(fails::NAME)[0].cid;
    let waits = runtime.invoke_async("zato.ping", ()).delay(Duration::from_hours(1)).await?;
    let runs = runtime.invoke_async(fails::service(), "hangs").await?;
    let group = runtime.fan_out([(fails::service(), "no")]).await?;
    assert!(runtime.outcome(group).await?.is_completed());
    let cases = [
        (completed, "it completed"),
        (inside, "it was called synchronously, and its caller received the outcome"),
        (waits, "it has not ended"),
        (runs, "it has not ended"),
        (group, "it completed"),
    ];
    for (cid, expected) in cases {
        assert_eq!(why(runtime.run_again(cid).await.unwrap_err(), cid), expected);
        assert_eq!(why(runtime.discard(cid).await.unwrap_err(), cid), expected);
    }
    let member = dead(&runtime).await?;
    assert_eq!(member.len(), 1, "a member of a group is one, its group is none: {member:?}");
    let again = runtime.run_again(member[0]).await?;
    runtime.outcome(again).await?;
    assert!(runtime.find(again).await?.expect("it is held").invocation.slot.is_none(), "it is of no group");
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_leaves_them_where_they_are() -> Result<(), Error> {
    if is_durable() {
        // It cancels nothing, and nothing can be asked of it then.
        return Ok(());
    }
    let runtime = start(&Journal::default(), &Mended::default()).await?;
    let first = letter(&runtime, "no").await?;
    runtime.pause(fails::NAME).await?;
    runtime.fan_out([("zato.ping", ()), (fails::NAME, ())]).await?;
    finish(&runtime).await?;
    // The group has completed, with the member that the shutdown has cancelled.
    let letters = dead(&runtime).await?;
    assert_eq!((letters.len(), letters[1]), (2, first));
    assert!(matches!(runtime.outcome(letters[0]).await?, Outcome::Cancelled(_)));
    for letter in letters {
        let error = runtime.run_again(letter).await.unwrap_err();
        assert!(matches!(error, CallError::ShuttingDown), "{error}");
        assert!(runtime.find(letter).await?.is_some_and(|found| found.is_dead()), "nothing has run it again");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_oldest_go_where_there_are_too_many() -> Result<(), Error> {
    let runtime = start_keeping(&Journal::default(), &Mended::default(), 3, Duration::MAX).await?;
    let mut letters = Vec::new();
    for text in ["one", "two", "three", "four", "five"] {
        letters.push(letter(&runtime, text).await?);
    }
    letters.reverse();
    swept(&runtime, 3).await?;
    assert_eq!(dead(&runtime).await?, letters[..3]);
    assert!(runtime.find(letters[3]).await?.is_none());
    // One that was discarded leaves its place to another.
    runtime.discard(letters[0]).await?;
    let newest = letter(&runtime, "six").await?;
    assert_eq!(dead(&runtime).await?, [newest, letters[1], letters[2]]);
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn what_was_discarded_is_counted_no_longer() -> Result<(), Error> {
    let runtime = start_keeping(&Journal::default(), &Mended::default(), 3, Duration::MAX).await?;
    for number in 0..10 {
        let cid = letter(&runtime, &number.to_string()).await?;
        runtime.discard(cid).await?;
    }
    let mut letters = Vec::new();
    for text in ["one", "two", "three"] {
        runtime.discard(letter(&runtime, "discarded").await?).await?;
        letters.push(letter(&runtime, text).await?);
    }
    letters.reverse();
    assert_eq!(dead(&runtime).await?, letters);
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn those_that_are_too_old_go() -> Result<(), Error> {
    let hour = Duration::from_hours(1);
    let runtime = start_keeping(&Journal::default(), &Mended::default(), 100, 24 * hour).await?;
    let first = letter(&runtime, "one").await?;
    sleep(23 * hour).await;
    let second = letter(&runtime, "two").await?;
    assert_eq!(dead(&runtime).await?, [second, first]);
    sleep(2 * hour).await;
    let third = letter(&runtime, "three").await?;
    assert_eq!(dead(&runtime).await?, [third, second]);
    finish(&runtime).await
}
