//! A short life of the bus while something fails: the same few calls each time, one after the other.

use std::path::Path;

use zato_runtime::Error;

use crate::child::{self, Life};
use crate::door::{self, Door};
use crate::journal::{Journal, Line};
use crate::script::{Call, Do, End, Group, Options, Replies, Work};
use crate::services;

/// The role of a child that lives so.
pub(crate) const ROLE: &str = "trial";

/// How it ends when the bus has not started, or has not shut down as it should, and has said why.
pub(crate) const REFUSED: i32 = 3;

/// Plays the role, on the store at `path`.
pub(crate) fn run(path: &Path, life: Life, journal: &Journal) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    if let Err(error) = tokio.expect("tokio starts").block_on(live(path, life, journal)) {
        eprintln!("{error}");
        std::process::exit(REFUSED);
    }
}

async fn live(path: &Path, life: Life, journal: &Journal) -> Result<(), Error> {
    journal.write(&Line::Begins { life: life.number });
    let runtime = child::start(path, life, journal, services::all()).await?;
    journal.write(&Line::Up { life: life.number });
    let outside = Door::Outside(&runtime);
    let mut given = Vec::new();
    for call in calls(life.number) {
        // What is refused is in the journal.
        given.extend(outside.call(journal, &call, None).await);
    }
    given.extend(outside.group(journal, &group(life.number)).await);
    for cid in given {
        door::outcome(&runtime, journal, cid).await;
    }
    runtime.shutdown().await?;
    journal.write(&Line::Down { life: life.number });
    Ok(())
}

/// One that is tried twice and makes a call of its own, one that fails, one that waits, and one with a key.
fn calls(life: u32) -> [Call; 4] {
    let id = |name: &str| format!("{life}-{name}");
    let inner = call(work(id("inner"), End::Well), Replies::Convention);
    let mut outer = work(id("outer"), End::FailsUntil(1));
    outer.does.push(Do::Call(inner));
    let mut late = call(work(id("late"), End::Well), Replies::None);
    late.options.delay = Some(5);
    let mut once = call(work("once".to_owned(), End::Well), Replies::Named);
    once.options.once = Some("once".to_owned());
    [call(outer, Replies::Named), call(work(id("failing"), End::FailsForGood), Replies::Named), late, once]
}

fn group(life: u32) -> Group {
    let id = format!("{life}-group");
    let members = (0..2).map(|n| (0, work(format!("{id}.{n}"), End::Well))).collect();
    Group { id, fans_out: true, each: false, last: true, members }
}

fn call(work: Work, replies: Replies) -> Call {
    Call { worker: 0, work, replies, options: Options::default() }
}

fn work(id: String, ends: End) -> Work {
    Work { id, does: Vec::new(), ends, fails_at: None }
}
