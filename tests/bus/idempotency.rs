//! Calls that are the same, and CIDs that callers bring.

use std::time::Duration;

use zato_core::{CallError, Cid, Context, Result, service};
use zato_runtime::{Error, Runtime};

use crate::builder::{builder, finish};
use crate::journal::Journal;

#[service(name = "identity.once")]
async fn once(ctx: &Context, text: String, journal: &Journal) -> Result<String> {
    journal.write(ctx, &text);
    if text == "bad" { Err("x".parse::<u8>().unwrap_err())? } else { Ok(text) }
}

#[service(name = "identity.other")]
async fn other(ctx: &Context, text: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, text);
    Ok(())
}

async fn start(journal: &Journal) -> Result<Runtime, Error> {
    builder()
        .services([once::service().erased(), other::service().erased()])
        .provide(journal.clone())
        .start()
        .await
}

#[tokio::test(start_paused = true)]
async fn the_same_key_is_the_same_call_for_a_day() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    for text in ["good", "bad"] {
        let call = || runtime.invoke_async(once::service(), text).idempotency_key(format!("key-{text}"));
        let first = call().await?;
        assert_eq!(call().await?, first, "while it waits");
        let outcome = runtime.outcome(first).await?;
        assert_eq!(call().await?, first, "when it has ended, also if it failed");
        assert_eq!(runtime.outcome(first).await?, outcome);
        let elsewhere =
            runtime.invoke_async(other::service(), text).idempotency_key(format!("key-{text}")).await?;
        assert_ne!(elsewhere, first, "the key of another service is another key");
        tokio::time::sleep(Duration::from_hours(25)).await;
        assert_ne!(call().await?, first, "keys live a day");
    }
    finish(&runtime).await?;
    assert_eq!(journal.of(once::NAME).len(), 4);
    assert_eq!(journal.of(other::NAME).len(), 2);
    Ok(())
}

#[tokio::test]
async fn another_call_under_the_same_key_is_a_conflict() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let first = runtime.invoke_async(once::service(), "a").idempotency_key("k").await?;
    let conflicts = [
        runtime.invoke_async(once::service(), "b").idempotency_key("k").await,
        runtime.invoke_async(once::service(), "a").callback(other::service()).idempotency_key("k").await,
        runtime.invoke_async(once::service(), "a").on_failure(other::service()).idempotency_key("k").await,
    ];
    for conflict in conflicts {
        let error = conflict.unwrap_err();
        assert!(matches!(&error, CallError::KeyConflict { first: under, .. } if *under == first), "{error}");
        assert!(error.is_permanent());
    }
    finish(&runtime).await?;
    assert_eq!(journal.lines().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_caller_may_bring_a_cid_that_was_never_used() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let own: Cid = "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d".parse().expect("a CID");
    assert_eq!(runtime.invoke_async(once::service(), "a").cid(own).await?, own);
    assert_eq!(runtime.outcome(own).await?.to_string(), "Completed: a");
    let error = runtime.invoke_async(once::service(), "b").cid(own).await.unwrap_err();
    assert!(matches!(error, CallError::CidTaken(cid) if cid == own), "{error}");
    assert_eq!(runtime.outcome(own).await?.to_string(), "Completed: a");
    finish(&runtime).await?;
    assert_eq!(journal.lines()[0].cid, own);
    Ok(())
}
