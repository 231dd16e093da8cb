//! Parallel and fan-out: many targets, one word for each, one word for all.

use std::time::Duration;

use serde_json::Value;
use zato_core::{Context, Failure, Payload, Result, Row, service};
use zato_runtime::{CallError, Cancellation, Error, Filter, Outcome, Runtime, StatusFilter};

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
    let waiting = Filter::new().service(held::NAME).stage(StatusFilter::Waiting).limit(10_000);
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

/// What the rows of targets of several types say.
#[service(name = "many.mixed")]
async fn mixed(ctx: &Context, rows: Vec<Row>, journal: &Journal) -> Result<()> {
    for row in &rows {
        let response = row.response.as_ref().map(|response| format!("{:?} {response}", response.kind()));
        journal.write(ctx, format!("{} {} {response:?} {:?}", row.service, row.ok, row.outcome));
        assert_eq!(row.ok, row.error.is_none());
        assert!(row.attempts == 1 && row.started_at.is_some() && row.ended_at.ends_with('Z'));
    }
    Ok(())
}

#[service(name = "many.numbers")]
async fn numbers(ctx: &Context, rows: Vec<Row<u32>>, journal: &Journal) -> Result<()> {
    journal.write(ctx, format!("{:?}", rows.iter().map(|row| row.response).collect::<Vec<_>>()));
    Ok(())
}

#[service(name = "many.texts")]
async fn texts(ctx: &Context, rows: Vec<Row<String>>, journal: &Journal) -> Result<()> {
    journal.write(ctx, format!("{:?}", rows.into_iter().map(|row| row.response).collect::<Vec<_>>()));
    Ok(())
}

#[service(name = "many.echo")]
async fn echo(_: &Context, text: String) -> Result<Payload> {
    Ok(match text.as_str() {
        "wide" => {
            Payload::from_parts(zato_core::Kind::Json, "[1e400,99999999999999999999]").unwrap_or_default()
        }
        "bytes" => Payload::bytes(vec![0xff, 0]),
        "nothing" => Payload::empty(),
        _ => Payload::text(text),
    })
}

#[service(name = "many.mixes")]
async fn mixes(ctx: &Context, journal: &Journal) -> Result<()> {
    // To none, and to some; by handle and by name.
    ctx.fan_out(())
        .target(target::service(), 1)
        .target(target::service(), 3)
        .target(echo::service(), "bytes")
        .target("many.echo", "wide")
        .target(echo::service(), "nothing")
        .target(echo::service(), "a text")
        .on_final(mixed::service())
        .on_final(texts::service())
        .await?;
    ctx.fan_out([(target::service(), 1), (target::service(), 3)])
        .target(echo::service(), "nothing")
        .on_final(numbers::service())
        .await?;
    ctx.parallel(()).target(target::service(), 8).target("zato.ping", ()).on_target(each::service()).await?;
    let mut all = ctx.invoke_all(()).target(target::service(), 2).target(echo::service(), "x").await;
    let (text, number) = (all.remove(1)?.decode::<String>()?, all.remove(0)?.decode::<u32>()?);
    let more = ctx.invoke_all([(target::service(), 4)]).target("zato.ping", ()).await;
    journal.write(ctx, format!("{number} {text} {}", more.into_iter().flatten().count()));
    assert!(ctx.invoke_all(()).await.is_empty());
    ctx.fan_out(()).on_final(numbers::service()).await?;
    Ok(())
}

#[tokio::test]
async fn targets_of_different_types_are_added_one_by_one() -> Result<(), Error> {
    let journal = Journal::default();
    let services = [
        target::service().erased(),
        each::service().erased(),
        mixed::service().erased(),
        numbers::service().erased(),
        texts::service().erased(),
        echo::service().erased(),
        mixes::service().erased(),
    ];
    let runtime = builder().services(services).provide(journal.clone()).start().await?;
    let root = runtime.invoke_async(mixes::service(), ()).await?;
    runtime.tree_ended(root).await?;
    let texts = |name: &str| journal.of(name).into_iter().map(|line| line.text).collect::<Vec<_>>();
    assert_eq!(texts(mixes::NAME), ["2 x 2"]);
    assert_eq!(
        texts(mixed::NAME),
        [
            r#"many.target true Some("Json 1") None"#,
            r#"many.target false None Some("Failed")"#,
            r#"many.echo true Some("Bytes /wA=") None"#,
            r#"many.echo true Some("Json [1e400,99999999999999999999]") None"#,
            r#"many.echo true Some("Empty ") None"#,
            r#"many.echo true Some("Text a text") None"#,
        ]
    );
    let mut lists = texts(numbers::NAME);
    lists.sort_unstable();
    assert_eq!(lists, ["[Some(1), None, None]", "[]"]);
    assert_eq!(journal.of(each::NAME).len(), 2);
    // Bytes that are no text cannot be a `String`, and the whole final callback cannot be read then.
    assert!(texts(texts::NAME).is_empty());
    let dead = runtime.list(Filter::dead().service(texts::NAME)).await?;
    let error = dead[0].outcome().and_then(Outcome::error).expect("it has failed").to_owned();
    assert!(error.contains("[2]") && error.contains("the response of `many.echo`"), "{error}");

    // From outside, too.
    let group = runtime.fan_out(()).target("zato.ping", ()).target(target::service(), 1).await?;
    runtime.tree_ended(group).await?;
    let rows: Vec<Row> = runtime.outcome(group).await?.payload().expect("it completed").decode()?;
    assert_eq!(rows.iter().map(|row| row.service.as_str()).collect::<Vec<_>>(), ["zato.ping", "many.target"]);
    finish(&runtime).await
}
