//! Cancelling: what waits ends at once, what runs is told and has a grace.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use zato_core::{Context, FailureReport, Result, service};
use zato_runtime::{CallError, Cancellation, Error, Outcome, Runtime};

use crate::builder::{builder, finish};
use crate::journal::Journal;

/// Says that a handler runs.
#[derive(Clone, Default)]
struct Runs(Arc<Notify>);

/// Ends when it is told, in the way that its request says.
#[service(name = "cancel.polite", max_attempts = 9, backoff = "1s")]
async fn polite(ctx: &Context, how: String, runs: &Runs) -> Result<String> {
    runs.0.notify_one();
    ctx.cancelled().await;
    match how.as_str() {
        "well" => Ok("told".to_owned()),
        "badly" => Err(std::io::Error::other("interrupted"))?,
        "late" => {
            tokio::time::sleep(Duration::from_secs(4)).await;
            Ok("late".to_owned())
        }
        _ => std::future::pending().await,
    }
}

#[service(name = "cancel.fails", max_attempts = 9, backoff = "1h")]
async fn fails(_: &Context, runs: &Runs) -> Result<()> {
    runs.0.notify_one();
    Err("no".parse::<u8>().unwrap_err())?
}

/// Makes children that wait, one of them in a tree of its own, and waits itself.
#[service(name = "cancel.parent")]
async fn parent(ctx: &Context, runs: &Runs, journal: &Journal) -> Result<()> {
    let hour = Duration::from_hours(1);
    journal.write(ctx, ctx.invoke_async(polite::service(), "never").await?);
    journal.write(ctx, ctx.invoke_async(polite::service(), "well").delay(hour).await?);
    journal.write(ctx, ctx.invoke_async("zato.ping", ()).delay(hour).new_root().await?);
    runs.0.notify_one();
    ctx.cancelled().await;
    journal.write(ctx, ctx.invoke_async(polite::service(), "never").await?);
    Ok(())
}

/// Calls inside a synchronous call, which waits then.
#[service(name = "cancel.outer")]
async fn outer(ctx: &Context) -> Result<()> {
    Ok(ctx.invoke(inner::service(), ()).await?)
}

#[service(name = "cancel.inner")]
async fn inner(ctx: &Context, journal: &Journal) -> Result<()> {
    journal.write(ctx, ctx.invoke_async("cancel.fails", ()).max_attempts(1).await?);
    ctx.cancelled().await;
    Ok(())
}

/// Calls what fails in a tree of its own.
#[service(name = "cancel.apart")]
async fn apart(ctx: &Context, journal: &Journal) -> Result<()> {
    journal.write(ctx, ctx.invoke_async("cancel.fails", ()).new_root().max_attempts(1).await?);
    Ok(())
}

/// The same inside a synchronous call.
#[service(name = "cancel.around")]
async fn around(ctx: &Context) -> Result<()> {
    Ok(ctx.invoke(apart::service(), ()).await?)
}

#[service(name = "cancel.report")]
async fn report(ctx: &Context, report: FailureReport, journal: &Journal) -> Result<()> {
    journal.write(ctx, format!("{}: {}", report.outcome, report.error));
    Ok(())
}

#[service(name = "cancel.rows")]
async fn rows(ctx: &Context, rows: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, rows);
    Ok(())
}

/// Cancels what it is told to, also itself.
#[service(name = "cancel.cancels")]
async fn cancels(ctx: &Context, cid: Option<zato_core::Cid>, journal: &Journal) -> Result<()> {
    let answer = ctx.cancel(cid.unwrap_or(ctx.cid())).await?;
    journal.write(ctx, format!("{answer:?}"));
    ctx.cancelled().await;
    Ok(())
}

async fn start(journal: &Journal, runs: &Runs) -> Result<Runtime, Error> {
    builder()
        .services([
            polite::service().erased(),
            fails::service().erased(),
            parent::service().erased(),
            outer::service().erased(),
            apart::service().erased(),
            around::service().erased(),
            inner::service().erased(),
            report::service().erased(),
            rows::service().erased(),
            cancels::service().erased(),
        ])
        .provide(journal.clone())
        .provide(runs.clone())
        .start()
        .await
}

#[tokio::test(start_paused = true)]
async fn what_waits_ends_at_once_with_its_failure_callback() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Runs::default()).await?;
    let call = runtime.invoke_async(polite::service(), "well").delay(Duration::from_hours(1));
    let cid = call.on_failure(report::NAME).await?;
    assert_eq!(runtime.cancel(cid).await?, Cancellation::Cancelled);
    let Cancellation::Ended(Outcome::Cancelled(_)) = runtime.cancel(cid).await? else { panic!("it says so") };
    finish(&runtime).await?;
    let lines = journal.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].text, "Cancelled: it was cancelled while it waited");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_another_attempt_ends_at_once() -> Result<(), Error> {
    let runs = Runs::default();
    let runtime = start(&Journal::default(), &runs).await?;
    let cid = runtime.invoke_async(fails::service(), ()).await?;
    runs.0.notified().await;
    let began = Instant::now();
    assert_eq!(runtime.cancel(cid).await?, Cancellation::Cancelled);
    assert!(began.elapsed() < Duration::from_secs(1));
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_told_and_has_a_grace() -> Result<(), Error> {
    for (how, expected, took) in [
        ("well", "Completed: told", 0),
        ("badly", "Cancelled: it was cancelled, and ended so: interrupted", 0),
        ("late", "Completed: late", 4),
        ("never", "Cancelled: it was cancelled, and its handler was dropped: it had not ended 5s later", 5),
    ] {
        let (journal, runs) = (Journal::default(), Runs::default());
        let runtime = start(&journal, &runs).await?;
        let cid = runtime.invoke_async(polite::service(), how).on_failure(report::NAME).await?;
        runs.0.notified().await;
        let began = Instant::now();
        assert_eq!(runtime.cancel(cid).await?, Cancellation::Requested, "{how}");
        assert_eq!(runtime.outcome(cid).await?.to_string(), expected);
        assert_eq!(began.elapsed().as_secs(), took, "{how}");
        let Cancellation::Ended(ended) = runtime.cancel(cid).await? else { panic!("{how}: it has ended") };
        assert_eq!(ended.to_string(), expected);
        finish(&runtime).await?;
        assert_eq!(journal.lines().len(), usize::from(expected.starts_with("Cancelled")), "{how}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_whole_tree_follows_if_asked() -> Result<(), Error> {
    for with_tree in [true, false] {
        let (journal, runs) = (Journal::default(), Runs::default());
        let runtime = start(&journal, &runs).await?;
        let root = runtime.invoke_async(parent::service(), ()).await?;
        // The parent and its first child run.
        runs.0.notified().await;
        journal.wait_for(3).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let cancel = runtime.cancel(root);
        let answer = if with_tree { cancel.with_tree().await? } else { cancel.await? };
        assert_eq!(answer, Cancellation::Requested);
        assert!(runtime.outcome(root).await?.is_completed(), "it returned Ok within its grace");
        let children: Vec<zato_core::Cid> =
            journal.lines().into_iter().map(|line| line.text.parse().expect("a CID")).collect();
        if with_tree {
            for index in [0, 1, 3] {
                let outcome = runtime.outcome(children[index]).await?;
                assert!(matches!(outcome, Outcome::Cancelled(_)), "{index}: {outcome}");
            }
        }
        let began = Instant::now();
        assert_eq!(runtime.outcome(children[2]).await?.to_string(), r#"Completed: {"pong":"zato"}"#);
        assert!(began.elapsed() > Duration::from_mins(59), "a tree of its own is not touched");
        runtime.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_cancel_another_and_itself() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Runs::default()).await?;
    let waits = runtime.invoke_async(polite::service(), "well").delay(Duration::from_hours(1)).await?;
    let other = runtime.invoke_async(cancels::service(), Some(waits)).await?;
    assert!(matches!(runtime.outcome(waits).await?, Outcome::Cancelled(_)));
    let itself = runtime.invoke_async(cancels::service(), None).await?;
    assert!(runtime.outcome(itself).await?.is_completed());
    runtime.cancel(other).await?;
    assert!(runtime.outcome(other).await?.is_completed());
    assert_eq!(
        journal.lines().iter().map(|line| line.text.as_str()).collect::<Vec<_>>(),
        ["Cancelled", "Requested"]
    );
    finish(&runtime).await
}

#[tokio::test]
async fn what_is_not_held_cannot_be_cancelled() -> Result<(), Error> {
    let runtime = start(&Journal::default(), &Runs::default()).await?;
    let unknown = "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d".parse().expect("a CID");
    let error = runtime.cancel(unknown).await.unwrap_err();
    assert!(matches!(error, CallError::NotHeld(cid) if cid == unknown), "{error}");
    finish(&runtime).await
}

/// Outcomes are not lost when a cancel and an end meet: every invocation has one, and the callback of that one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cancel_that_meets_an_end_changes_nothing_else() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Runs::default()).await?;
    let mut cancelled = 0;
    for _ in 0..2_000 {
        let cid = runtime
            .invoke_async("zato.helpers.echo", "x")
            .callback("zato.ping")
            .on_failure(report::NAME)
            .await?;
        let answer = runtime.cancel(cid).await?;
        let outcome = runtime.outcome(cid).await?;
        cancelled += usize::from(matches!(outcome, Outcome::Cancelled(_)));
        match answer {
            Cancellation::Cancelled => assert!(matches!(outcome, Outcome::Cancelled(_)), "{outcome}"),
            Cancellation::Ended(ended) => assert_eq!(ended, outcome),
            Cancellation::Requested => {}
        }
    }
    finish(&runtime).await?;
    assert_eq!(journal.lines().len(), cancelled);
    Ok(())
}

/// Who is told that the first of a tree was cancelled is not a part of what is cancelled.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_told_of_a_cancelled_tree_is_not_cancelled_with_it() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Runs::default()).await?;
    // They wait, and could be cancelled.
    runtime.pause(report::NAME).await?;
    for _ in 0..2_000 {
        let call = runtime.invoke_async("zato.ping", ()).delay(Duration::from_hours(1));
        let cid = call.on_failure(report::NAME).await?;
        assert_eq!(runtime.cancel(cid).with_tree().await?, Cancellation::Cancelled);
    }
    runtime.resume(report::NAME).await?;
    finish(&runtime).await?;
    assert_eq!(journal.lines().len(), 2_000);
    Ok(())
}

/// Nor who is told that a group has ended, which may be while it is cancelled.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_told_of_a_cancelled_group_is_not_cancelled_with_it() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Runs::default()).await?;
    runtime.pause(rows::NAME).await?;
    let mut expected = 0;
    for number in 0..2_000 {
        let group = runtime.fan_out([("zato.ping", ())]).on_final(rows::NAME).await?;
        let cancel = runtime.cancel(group);
        let answer = if number % 2 == 0 { cancel.await? } else { cancel.with_tree().await? };
        // Where it had ended before, who is told of it is a part of its tree.
        expected += usize::from(answer == Cancellation::Requested || number % 2 == 0);
    }
    runtime.resume(rows::NAME).await?;
    finish(&runtime).await?;
    assert!(journal.lines().len() >= expected, "{} of {expected}", journal.lines().len());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_group_alone_is_its_members_and_with_its_tree_all_that_came_of_them() -> Result<(), Error> {
    for with_tree in [false, true] {
        let (journal, runs) = (Journal::default(), Runs::default());
        let runtime = start(&journal, &runs).await?;
        runtime.pause(report::NAME).await?;
        // One has ended and its callback waits, one runs and has children, one waits.
        let members = ["zato.ping", parent::NAME, report::NAME].map(|name| (name, ()));
        let group = runtime.fan_out(members).on_target(report::NAME).await?;
        journal.wait_for(3).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let before = runtime.tree(group).await?;
        let cancel = runtime.cancel(group);
        assert_eq!(
            if with_tree { cancel.with_tree().await? } else { cancel.await? },
            Cancellation::Requested
        );
        tokio::time::sleep(Duration::from_secs(30)).await;
        let mut cancelled = Vec::new();
        for found in before {
            let outcome = runtime.find(found.cid()).await?.and_then(|found| found.outcome().cloned());
            if matches!(outcome, Some(Outcome::Cancelled(_))) {
                let is_member = found.invocation.slot.is_some();
                cancelled.push((found.service().to_owned(), is_member));
            }
        }
        cancelled.sort();
        let member = (report::NAME.to_owned(), true);
        let (callback, child) = ((report::NAME.to_owned(), false), (polite::NAME.to_owned(), false));
        let expected = if with_tree { vec![child.clone(), child, callback, member] } else { vec![member] };
        assert_eq!(cancelled, expected, "with its tree: {with_tree}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_run_again_is_cancelled_with_its_tree_also_inside_a_synchronous_call() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal, &Runs::default()).await?;
    let cid = runtime.invoke_async(outer::service(), ()).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let failed = journal.lines()[0].text.parse().expect("a CID");
    assert!(matches!(runtime.outcome(failed).await?, Outcome::Failed(_)));
    runtime.pause("cancel.fails").await?;
    let again = runtime.run_again(failed).await?;
    runtime.cancel(cid).with_tree().await?;
    let outcome = tokio::time::timeout(Duration::from_secs(1), runtime.outcome(again)).await;
    assert!(matches!(outcome.expect("it ends at once")?, Outcome::Cancelled(_)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_runs_a_root_again_is_not_below_it() -> Result<(), Error> {
    for caller in [apart::NAME, around::NAME] {
        let journal = Journal::default();
        let runtime = start(&journal, &Runs::default()).await?;
        runtime.invoke_async(caller, ()).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let failed = journal.lines()[0].text.parse().expect("a CID");
        assert!(matches!(runtime.outcome(failed).await?, Outcome::Failed(_)));
        runtime.pause("cancel.fails").await?;
        let again = runtime.run_again(failed).await?;
        let cancelled = runtime.cancel(failed).with_tree().await?;
        assert!(matches!(cancelled, Cancellation::Ended(Outcome::Failed(_))));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = runtime.find(again).await?.expect("it is held");
        assert!(found.outcome().is_none(), "{caller}: {:?}", found.outcome());
        runtime.resume("cancel.fails").await?;
        assert!(matches!(runtime.outcome(again).await?, Outcome::Failed(_)));
    }
    Ok(())
}
