//! Every invocation ends in exactly one outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Serialize, Serializer, ser};
use zato_core::{Context, Failure, FailureReport, Result, Service, service};
use zato_runtime::{Error, Outcome, Runtime};

use crate::builder::{builder, finish};
use crate::journal::Journal;

/// How the handler is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum End {
    Well,
    Badly,
    BadlyForGood,
    InPanic,
    InPanicAfterWaiting,
    InPanicWhileDropping,
    InPanicWithNumber,
    WithTooMuch,
    WithWhatCannotBeWritten,
}

/// A response that is written, or is not.
enum Text {
    Ok(String),
    Broken,
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ok(text) => serializer.serialize_str(text),
            Self::Broken => Err(ser::Error::custom("cannot be written")),
        }
    }
}

/// Panics when it is dropped.
struct Trap;

impl Drop for Trap {
    fn drop(&mut self) {
        panic!("the trap closed");
    }
}

#[service(name = "outcomes.ends")]
struct Ends;

impl Service for Ends {
    type Request = End;
    type Response = Text;

    async fn handle(&self, _: &Context, end: End) -> Result<Text> {
        match end {
            End::Well => {}
            End::Badly => Err("badly".parse::<u8>().unwrap_err())?,
            End::BadlyForGood => return Err(Failure::permanent("for good")),
            End::InPanic => panic!("in panic"),
            End::InPanicAfterWaiting => {
                tokio::task::yield_now().await;
                panic!("after waiting {}", 1)
            }
            End::InPanicWhileDropping => drop(Trap),
            End::InPanicWithNumber => std::panic::panic_any(7),
            End::WithTooMuch => return Ok(Text::Ok("x".repeat(1_000_001))),
            End::WithWhatCannotBeWritten => return Ok(Text::Broken),
        }
        Ok(Text::Ok("well".to_owned()))
    }
}

#[service(name = "outcomes.reply")]
async fn reply(ctx: &Context, reply: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, reply);
    Ok(())
}

#[service(name = "outcomes.report")]
async fn report(ctx: &Context, report: FailureReport, journal: &Journal) -> Result<()> {
    journal.write(ctx, format!("{}: {}", report.outcome, report.error));
    Ok(())
}

async fn start(journal: &Journal) -> Result<Runtime, Error> {
    builder()
        .services([Ends::service().erased(), reply::service().erased(), report::service().erased()])
        .provide(journal.clone())
        .max_payload(1_000_000)
        .start()
        .await
}

#[tokio::test]
async fn every_way_to_end_has_one_outcome_and_one_callback() -> Result<(), Error> {
    let cases = [
        (End::Well, "Completed: well"),
        (End::Badly, "Failed: invalid digit found in string"),
        (End::BadlyForGood, "Failed: for good"),
        (End::InPanic, "Failed: the handler panicked: in panic"),
        (End::InPanicAfterWaiting, "Failed: the handler panicked: after waiting 1"),
        (End::InPanicWhileDropping, "Failed: the handler panicked: the trap closed"),
        (End::InPanicWithNumber, "Failed: the handler panicked: with a value that is not text"),
        (End::WithTooMuch, "Failed: the response is 1000001 bytes, above the limit of 1000000 bytes"),
        (End::WithWhatCannotBeWritten, "Failed: the response of `outcomes.ends` is lost"),
    ];
    for (end, expected) in cases {
        let journal = Journal::default();
        let runtime = start(&journal).await?;
        let cid =
            runtime.invoke_async(Ends::service(), end).callback(reply::NAME).on_failure(report::NAME).await?;
        let outcome = runtime.outcome(cid).await?;
        assert!(outcome.to_string().starts_with(expected), "{end:?} ended as {outcome}");
        assert_eq!(runtime.outcome(cid).await?, outcome, "it is remembered");
        finish(&runtime).await?;
        let lines = journal.lines();
        assert_eq!(lines.len(), 1, "{end:?}: {lines:?}");
        assert_eq!(lines[0].in_reply_to, Some(cid));
        let callback = if outcome.is_completed() { reply::NAME } else { report::NAME };
        assert_eq!(lines[0].service, callback, "{end:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_undecodable_with_its_path() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let cid =
        runtime.invoke_async(Ends::NAME, serde_json::json!({"Well": 1})).on_failure(report::NAME).await?;
    let outcome = runtime.outcome(cid).await?;
    assert!(matches!(outcome, Outcome::Undecodable(_)), "{outcome}");
    finish(&runtime).await?;
    assert!(journal.lines()[0].text.starts_with("Undecodable: `outcomes.ends` cannot read its request"));
    Ok(())
}

#[tokio::test]
async fn a_callback_that_fails_has_no_callback_and_troubles_no_other() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    // The first callback cannot read the reply, the second can.
    let cid =
        runtime.invoke_async(Ends::service(), End::Well).callback(Ends::NAME).callback(reply::NAME).await?;
    runtime.outcome(cid).await?;
    finish(&runtime).await?;
    assert_eq!(journal.lines().len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_outcome_that_is_not_held_is_answered_at_once() -> Result<(), Error> {
    let runtime = start(&Journal::default()).await?;
    let unknown = "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d".parse().expect("a CID");
    assert!(matches!(runtime.outcome(unknown).await, Err(Error::NotHeld(cid)) if cid == unknown));
    finish(&runtime).await
}

/// Counts instead of writing down.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

#[service(name = "outcomes.adds")]
async fn adds(_: &Context, number: u64) -> Result<u64> {
    Ok(number + 1)
}

#[service(name = "outcomes.counts")]
async fn counts(_: &Context, _number: u64, count: &Count) -> Result<()> {
    count.0.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// The number is read from `ZATO_TEST_INVOCATIONS`, so that it can be run for longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_million_invocations_have_a_million_callbacks() -> Result<(), Error> {
    let invocations: u64 = std::env::var("ZATO_TEST_INVOCATIONS")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(1_000_000);
    let count = Count::default();
    let runtime = builder()
        .services([adds::service().erased(), counts::service().erased()])
        .provide(count.clone())
        .max_waiting(10_000)
        .start()
        .await?;
    let producers = (0..4).map(|producer| {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            let mut cids = Vec::new();
            for number in (producer..invocations).step_by(4) {
                cids.push(runtime.invoke_async(adds::service(), number).callback(counts::service()).await?);
            }
            Ok::<_, Error>(cids)
        })
    });
    let mut cids = Vec::new();
    for producer in producers.collect::<Vec<_>>() {
        cids.extend(producer.await.expect("no producer panics")?);
    }
    cids.sort_unstable();
    cids.dedup();
    assert_eq!(cids.len() as u64, invocations, "no CID is given twice");
    finish(&runtime).await?;
    assert_eq!(count.0.load(Ordering::Relaxed) as u64, invocations);
    Ok(())
}
