//! Equal calls are equal as documents: whatever is written in another order each time is the same call.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use zato_core::{CallError, Context, Failure, Result, service};
use zato_runtime::{Error, Filter, Runtime};

use crate::builder::builder;
use crate::journal::Journal;

/// Two maps of the same members are hardly ever written in the same order: each has random keys of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    lines: HashMap<String, HashMap<String, u64>>,
    note: String,
}

fn order(note: &str) -> Order {
    let line =
        |n: u64| (format!("line {n}"), (0..20).map(|part| (format!("part {part}"), n * part)).collect());
    Order { lines: (0..20).map(line).collect(), note: note.to_owned() }
}

#[service(name = "equal.leaf")]
async fn leaf(_: &Context, order: Order) -> Result<usize> {
    Ok(order.lines.len())
}

#[service(name = "equal.caller", max_attempts = 2, backoff = "1ms")]
async fn caller(ctx: &Context, (): (), journal: &Journal) -> Result<()> {
    let one = ctx.invoke_async("equal.leaf", order("one")).label("kind", "one").await?;
    let other = ctx.invoke_async("equal.leaf", order("one")).label("kind", "other").await?;
    let group = ctx.fan_out([("equal.leaf", order("a")), ("equal.leaf", order("b"))]).await?;
    let chain = ctx.chain("equal.leaf", order("c")).then("zato.helpers.echo").await?;
    journal.write(ctx, format!("{one} {other} {group} {chain}"));
    if ctx.attempt() == 1 { Err(Failure::new("again")) } else { Ok(()) }
}

async fn bus(journal: &Journal) -> std::result::Result<Runtime, Error> {
    let services = [leaf::service().erased(), caller::service().erased()];
    builder().services(services).provide(journal.clone()).start().await
}

#[tokio::test]
async fn a_handler_that_runs_again_does_not_repeat_calls_with_maps() -> std::result::Result<(), Error> {
    let journal = Journal::default();
    let runtime = bus(&journal).await?;
    let cid = runtime.invoke_async(caller::service(), ()).await?;
    assert!(runtime.outcome(cid).await?.is_completed());
    let lines = journal.lines();
    assert_eq!(lines[0].text, lines[1].text, "every call is answered with the child of the first attempt");
    // A label makes another call.
    let cids: Vec<_> = lines[0].text.split(' ').collect();
    assert_ne!(cids[0], cids[1]);
    runtime.shutdown().await
}

#[tokio::test]
async fn an_idempotency_key_is_of_the_document() -> std::result::Result<(), Error> {
    let runtime = bus(&Journal::default()).await?;
    let call = |note| runtime.invoke_async("equal.leaf", order(note)).idempotency_key("k");
    let first = call("one").await?;
    for _ in 0..5 {
        assert_eq!(call("one").await?, first);
    }
    assert!(matches!(call("two").await, Err(CallError::KeyConflict { first: of, .. }) if of == first));
    assert_eq!(runtime.list(Filter::new()).await?.len(), 1);
    runtime.shutdown().await
}
