//! Parallel and fan-out: many targets, one word for each, one word for all.

use std::time::Duration;

use serde_json::Value;
use zato_core::{Context, Failure, Payload, Result, service};
use zato_runtime::{CallError, Cancellation, Error, Outcome, Runtime};

use crate::journal::Journal;

/// Ends in the way that its number says.
#[service(name = "many.target", timeout = "10s")]
async fn target(_: &Context, number: u32) -> Result<u32> {
    match number % 10 {
        3 => Err(Failure::permanent(format!("{number} is out"))),
        5 => panic!("{number} panicked"),
        7 => std::future::pending().await,
        _ => Ok(number),
    }
}

#[service(name = "many.each")]
async fn each(ctx: &Context, reply: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, reply);
    Ok(())
}

#[service(name = "many.all")]
async fn all(ctx: &Context, rows: Vec<Value>, journal: &Journal) -> Result<()> {
    journal.write(ctx, serde_json::to_string(&rows)?);
    Ok(())
}

/// Fans out to so many, in the way that its request says.
#[service(name = "many.caller")]
async fn caller(ctx: &Context, how: (String, u32), journal: &Journal) -> Result<()> {
    let targets = (0..how.1).map(|number| (target::service(), number));
    let answer = match how.0.as_str() {
        "fan out" => ctx.fan_out(targets).on_target(each::service()).on_final(all::service()).await,
        "final alone" => ctx.fan_out(targets).on_final("many.all").await,
        "parallel" => ctx.parallel(targets).on_target("many.each").await,
        "unknown" => ctx.fan_out([("many.target", 1), ("many.tagret", 2)]).on_final("many.all").await,
        _ => ctx.fan_out([("many.target", 1)]).on_final("many.al").await,
    };
    match answer {
        Ok(cid) => journal.write(ctx, cid),
        Err(error) => journal.write(ctx, error),
    }
    Ok(())
}

/// The convention callback must not fire in addition.
#[service]
async fn caller_async_callback(ctx: &Context, _reply: Payload, journal: &Journal) -> Result<()> {
    journal.write(ctx, "by convention");
    Ok(())
}

async fn start(journal: &Journal) -> Result<Runtime, Error> {
    Runtime::builder()
        .services([
            target::service().erased(),
            each::service().erased(),
            all::service().erased(),
            caller::service().erased(),
            caller_async_callback::service().erased(),
        ])
        .provide(journal.clone())
        .start()
        .await
}

async fn run(how: &str, targets: u32) -> Result<(Journal, Option<Outcome>), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.invoke(caller::service(), (how.to_owned(), targets)).await?;
    let outcome = match journal.of(caller::NAME)[0].text.parse() {
        Ok(cid) => Some(runtime.outcome(cid).await?),
        Err(_) => None,
    };
    runtime.shutdown().await?;
    assert!(journal.of(caller_async_callback::NAME).is_empty(), "{how}");
    Ok((journal, outcome))
}

fn rows(line: &crate::journal::Line) -> Vec<Value> {
    serde_json::from_str(&line.text).expect("rows are JSON")
}

#[tokio::test(start_paused = true)]
async fn all_outcomes_come_together_once_in_the_order_given() -> Result<(), Error> {
    let (journal, outcome) = run("fan out", 10_000).await?;
    let finals = journal.of(all::NAME);
    assert_eq!(finals.len(), 1);
    let rows = rows(&finals[0]);
    assert_eq!(rows.len(), 10_000);
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row["service"], "many.target");
        assert_eq!(row["attempts"], 1);
        match number % 10 {
            3 => assert_eq!(
                (&row["ok"], &row["outcome"], &row["error"]),
                (&false.into(), &"Failed".into(), &format!("{number} is out").into())
            ),
            5 => assert_eq!((&row["ok"], &row["outcome"]), (&false.into(), &"Failed".into())),
            7 => assert_eq!((&row["ok"], &row["outcome"]), (&false.into(), &"TimedOut".into())),
            _ => assert_eq!((&row["ok"], &row["response"]), (&true.into(), &number.into())),
        }
    }
    assert_eq!(journal.of(each::NAME).len(), 10_000, "each outcome went to `on_target`, failures too");
    let outcome = outcome.expect("the group has an outcome");
    assert!(
        outcome.payload().expect("it completed").decode::<Vec<Value>>()? == rows,
        "the group's own outcome"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn parallel_has_a_word_for_each_and_none_for_all() -> Result<(), Error> {
    let (journal, outcome) = run("parallel", 20).await?;
    assert_eq!(journal.of(each::NAME).len(), 20);
    assert!(outcome.is_some_and(|outcome| outcome.is_completed()));
    Ok(())
}

#[tokio::test]
async fn no_target_is_an_empty_list() -> Result<(), Error> {
    let (journal, _) = run("final alone", 0).await?;
    assert_eq!(journal.of(all::NAME).iter().map(rows).collect::<Vec<_>>(), [Vec::<Value>::new()]);
    Ok(())
}

#[tokio::test]
async fn an_unknown_target_or_callback_refuses_the_call_before_anything_runs() -> Result<(), Error> {
    for how in ["unknown", "unknown callback"] {
        let (journal, _) = run(how, 0).await?;
        let lines = journal.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].text.contains("did you mean `many."), "{}", lines[0].text);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_group_is_cancelled_with_its_members_and_still_tells() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let group = runtime.fan_out((0..100).map(|_| (target::service(), 7))).on_final(all::service()).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(runtime.cancel(group).await?, Cancellation::Requested);
    assert!(runtime.outcome(group).await?.is_completed());
    runtime.shutdown().await?;
    let finals = journal.of(all::NAME);
    let rows = rows(&finals[0]);
    assert_eq!((finals.len(), rows.len()), (1, 100));
    assert!(rows.iter().all(|row| row["outcome"] == "Cancelled"), "{}", rows[0]);
    assert_eq!(finals[0].in_reply_to, Some(group));
    Ok(())
}

#[tokio::test]
async fn a_group_that_finds_no_room_leaves_nothing_behind() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = Runtime::builder()
        .services([target::service().erased(), all::service().erased()])
        .provide(journal.clone())
        .max_waiting(1_000)
        .start()
        .await?;
    let error = runtime.fan_out((0..3_000).map(|_| (target::service(), 1))).await.unwrap_err();
    assert!(matches!(error, CallError::Full { .. }), "{error}");
    // What had been staged is gone: there is room for as many again.
    let group = runtime.fan_out((0..2_000).map(|_| (target::service(), 1))).on_final(all::service()).await?;
    assert!(runtime.outcome(group).await?.is_completed());
    runtime.shutdown().await?;
    assert_eq!(journal.of(all::NAME).len(), 1);
    Ok(())
}
