//! Members of groups: every outcome of one, told to everyone that the group names and to nobody by convention.

use std::sync::Arc;

use serde_json::{Value, json};
use zato_core::{Context, FailureReport, Payload, Result, service};
use zato_runtime::{Cancellation, Cid, Error, Outcome, Runtime};

use super::services::{Do, Gate, Then, services};
use super::ways::seconds;
use super::{Combination, callbacks, ways};
use crate::builder::{builder, finish};
use crate::journal::Journal;

/// A member for each way to end that a call without options has: its target, its request, and its outcome.
fn members() -> [(&'static str, Value, &'static str); 7] {
    [
        ("table.target", json!([Do::Succeed]), "Completed: done"),
        ("table.target", json!([Do::FailForGood]), "Failed: for good"),
        ("table.target", json!([Do::PanicLater]), "Failed: the handler panicked: later"),
        ("table.timed", json!([Do::Hold]), "TimedOut: it took longer than its timeout of 2s"),
        ("table.number", json!("seven"), "Undecodable: `table.number` cannot read its request"),
        // The last two are cancelled.
        (
            "table.target",
            json!([Do::Told(Then::Fail)]),
            "Cancelled: it was cancelled, and ended so: interrupted",
        ),
        ("table.narrow", json!([Do::Succeed]), "Cancelled: it was cancelled while it waited"),
    ]
}

const CANCELLED: std::ops::Range<usize> = 5..7;

/// Fans out to the members, with these to hear of each, and all of them to hear of all.
#[service(name = "table.fans-out")]
async fn fans_out(ctx: &Context, on_target: Vec<String>) -> Result<Cid> {
    let mut group = ctx.fan_out(members().map(|(target, request, _)| (target, request)));
    for name in on_target {
        group = group.on_target(name);
    }
    Ok(group.on_final("table.other-reply").await?)
}

/// The convention must not fire: a group names its callbacks.
#[service(name = "table.fans-out-async-callback")]
async fn by_convention(ctx: &Context, reply: Payload, journal: &Journal) -> Result<()> {
    journal.write(ctx, reply);
    Ok(())
}

/// Nor this one.
#[service(name = "table.fans-out-async-failure")]
async fn failure_by_convention(ctx: &Context, report: Payload, journal: &Journal) -> Result<()> {
    journal.write(ctx, report);
    Ok(())
}

/// Who is told of each member.
const ON_TARGET: [&[&str]; 3] = [&[], &["table.reply"], &["table.report", "table.reply", "table.reply"]];

async fn start(journal: &Journal, gate: &Gate) -> Result<Runtime, Error> {
    // Those who make calls alone want one; they are not called here.
    let combination =
        Combination { way: Arc::new(ways::completed().remove(0)), callbacks: callbacks::ALL[0] };
    let own = [
        fans_out::service().erased(),
        by_convention::service().erased(),
        failure_by_convention::service().erased(),
    ];
    builder()
        .services(services().into_iter().chain(own))
        .provide(journal.clone())
        .provide(gate.clone())
        .provide(combination)
        .start()
        .await
}

/// The group is cancelled, or its last two members are, each under its CID; then all that came of it is checked.
async fn run(on_target: &[&str], cancels_group: bool) -> Result<(), Error> {
    let name = format!("{on_target:?}, the group is cancelled: {cancels_group}");
    let (journal, gate) = (Journal::default(), Gate::closed());
    let runtime = start(&journal, &gate).await?;
    let narrow = runtime.invoke_async("table.narrow", [Do::Hold]).await?;
    let group: Cid = runtime.invoke(fans_out::NAME, on_target).await?.decode()?;
    tokio::time::sleep(seconds(3)).await;
    let tree = runtime.tree(group).await?;
    let cids: Vec<_> = tree
        .iter()
        .filter(|found| found.invocation.slot.is_some())
        .map(zato_runtime::InvocationInfo::cid)
        .collect();
    if cancels_group {
        assert_eq!(runtime.cancel(group).await?, Cancellation::Requested, "{name}");
    } else {
        for cid in &cids[CANCELLED] {
            assert!(!matches!(runtime.cancel(*cid).await?, Cancellation::Ended(_)), "{name}");
        }
    }
    let rows = runtime.outcome(group).await?;
    gate.open();
    finish(&runtime).await?;
    assert!(runtime.outcome(narrow).await?.is_completed(), "{name}: who had the place is not touched");

    let rows: Vec<Value> = rows.payload().expect("a group completes").decode()?;
    let lines = journal.lines();
    let finals: Vec<_> = lines.iter().filter(|line| line.in_reply_to == Some(group)).collect();
    assert_eq!(finals.len(), 1, "{name}");
    assert_eq!(serde_json::from_str::<Vec<Value>>(&finals[0].text).ok().as_ref(), Some(&rows), "{name}");
    for (((target, _, expected), cid), row) in members().into_iter().zip(&cids).zip(&rows) {
        let outcome = runtime.outcome(*cid).await?;
        assert!(outcome.to_string().starts_with(expected), "{name}, {target}: {outcome}");
        assert_eq!((&row["cid"], &row["service"]), (&json!(cid), &json!(target)), "{name}");
        assert_eq!(row["ok"], outcome.is_completed(), "{name}");
        let mut told: Vec<_> = lines.iter().filter(|line| line.in_reply_to == Some(*cid)).collect();
        told.sort_by(|one, other| other.service.cmp(&one.service));
        let who: Vec<_> = told.iter().map(|line| &*line.service).collect();
        assert_eq!(who, on_target, "{name}, {expected}");
        for line in told {
            if let Outcome::Completed(response) = &outcome {
                assert_eq!(line.text, response.to_string(), "{name}");
                continue;
            }
            let report: FailureReport = serde_json::from_str(&line.text).expect("a report is JSON");
            assert_eq!((report.cid, &*report.outcome), (*cid, outcome.name()), "{name}");
            assert_eq!(Some(&*report.error), outcome.error(), "{name}");
        }
    }
    // The caller, the group, its members, who heard of each, and who heard of all.
    let all = 1 + 1 + cids.len() * (1 + on_target.len()) + 1;
    assert_eq!(runtime.tree(group).await?.len(), all, "{name}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn each_is_told_to_everyone_that_the_group_names() -> Result<(), Error> {
    for on_target in ON_TARGET {
        for cancels_group in [true, false] {
            run(on_target, cancels_group).await?;
        }
    }
    Ok(())
}
