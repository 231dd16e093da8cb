//! Parallel and fan-out: many targets, one word for each, one word for all.

use std::time::Duration;

use serde_json::Value;
use zato_core::{Context, Failure, Payload, Result, service};
use zato_runtime::{CallError, Cancellation, Error, Filter, Outcome, Runtime, Stage};

use crate::builder::{builder, finish};
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

/// Paused, so that what is called of it waits until it is cancelled.
#[service(name = "many.held")]
async fn held(_: &Context, number: u32) -> Result<u32> {
    Ok(number)
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
        "fan out" => {
            let name = |number| if number % 10 == 9 { held::NAME } else { target::NAME };
            let targets = (0..how.1).map(|number| (name(number), number));
            ctx.fan_out(targets).on_target(each::service()).on_final(all::service()).await
        }
        "final alone" => ctx.fan_out(targets).on_final("many.all").await,
        "parallel" => ctx.parallel(targets).on_target(each::service()).await,
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
    builder()
        .services([
            target::service().erased(),
            held::service().erased(),
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
    finish(&runtime).await?;
    assert!(journal.of(caller_async_callback::NAME).is_empty(), "{how}");
    Ok((journal, outcome))
}

fn rows(line: &crate::journal::Line) -> Vec<Value> {
    serde_json::from_str(&line.text).expect("rows are JSON")
}

/// One in ten fails, one panics, one times out and one is cancelled while it waits.
#[tokio::test(start_paused = true)]
async fn all_outcomes_come_together_once_in_the_order_given() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    runtime.pause(held::NAME).await?;
    runtime.invoke(caller::service(), ("fan out".to_owned(), 10_000)).await?;
    let group = journal.of(caller::NAME)[0].text.parse().expect("the caller says the group's CID");
    let waiting = Filter::new().service(held::NAME).stage(Stage::Waiting).limit(10_000);
    let waiting = runtime.list(waiting).await?;
    assert_eq!(waiting.len(), 1_000);
    for member in waiting {
        assert_eq!(runtime.cancel(member.cid()).await?, Cancellation::Cancelled);
    }
    let outcome = runtime.outcome(group).await?;
    finish(&runtime).await?;

    let finals = journal.of(all::NAME);
    assert_eq!(finals.len(), 1);
    let rows = rows(&finals[0]);
    assert_eq!(rows.len(), 10_000);
    for (number, row) in rows.iter().enumerate() {
        let (service, attempts) = if number % 10 == 9 { (held::NAME, 0) } else { (target::NAME, 1) };
        assert_eq!((&row["service"], &row["attempts"]), (&service.into(), &attempts.into()), "{row}");
        let (outcome, error) = match number % 10 {
            3 => ("Failed", format!("{number} is out")),
            5 => ("Failed", format!("the handler panicked: {number} panicked")),
            7 => ("TimedOut", "it took longer than its timeout of 10s".to_owned()),
            9 => ("Cancelled", "it was cancelled while it waited".to_owned()),
            _ => {
                assert_eq!((&row["ok"], &row["response"]), (&true.into(), &number.into()));
                continue;
            }
        };
        assert_eq!((&row["ok"], &row["outcome"]), (&false.into(), &outcome.into()), "{row}");
        assert!(row["error"].as_str().is_some_and(|text| text.starts_with(&error)), "{row}");
    }
    assert_eq!(journal.of(each::NAME).len(), 10_000, "each outcome went to `on_target`, failures too");
    assert!(journal.of(caller_async_callback::NAME).is_empty());
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
    finish(&runtime).await?;
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
    let runtime = builder()
        .services([target::service().erased(), all::service().erased()])
        .provide(journal.clone())
        .max_waiting(1_000)
        .start()
        .await?;
    let error = runtime.fan_out((0..3_000).map(|_| (target::service(), 1))).await.unwrap_err();
    assert!(matches!(error, CallError::TooMany { members: 3_000, limit: 2_000 }), "{error}");
    // What had been staged is gone: there is room for as many again.
    let group = runtime.fan_out((0..2_000).map(|_| (target::service(), 1))).on_final(all::service()).await?;
    assert!(runtime.outcome(group).await?.is_completed());
    finish(&runtime).await?;
    assert_eq!(journal.of(all::NAME).len(), 1);
    Ok(())
}
