//! Follows invocations until everything that came of them has ended.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::sleep;
use zato_core::{Channel, Cid};

use super::output::Output;
use super::terminal::say;
use crate::base::format::{escaped, grouped};
use crate::bus::observer::Observer;
use crate::engine;
use crate::inspect::status::{Audience, Source, StatusWriter};
use crate::record::lookup::{InvocationInfo, Status, WaitReason};
use crate::record::{Batch, Ended};
use crate::runtime::handle::Runtime;

/// The time between two looks at what is waited for. If nothing runs and nothing has ended in between, that is said.
const QUIET: Duration = Duration::from_secs(3);

/// The time before the first look.
const FIRST: Duration = Duration::from_millis(300);

/// The most invocations that are named as waited for.
const MAX_NAMED: usize = 3;

/// The most invocations that one look looks up.
const MAX_LOOKED_UP: usize = 1_000;

/// Knows when nothing is left of what was accepted, and prints every outcome as it comes, if it is to.
pub(super) struct Follow {
    output: Output,
    seen: Mutex<Seen>,
    ended: Notify,
}

#[derive(Default)]
struct Seen {
    live: HashSet<Cid>,
    /// Outcomes that came before they may be printed.
    held_back: Vec<Ended>,
    is_open: bool,
    /// How the invocation from outside ended.
    root: Option<Ended>,
    counts: Counts,
}

/// The numbers of invocations that have ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// All that have ended.
    pub(super) ended: usize,
    /// Those of them that ended in anything but `Completed`.
    pub(super) failed: usize,
}

impl Follow {
    pub(super) fn new(output: Output) -> Self {
        Self { output, seen: Mutex::default(), ended: Notify::new() }
    }

    /// Prints the outcomes that have come, and from now on each as it comes.
    pub(super) fn open(&self) {
        let mut seen = self.seen();
        seen.is_open = true;
        for ended in std::mem::take(&mut seen.held_back) {
            self.output.ended(&ended);
        }
    }

    /// The number of invocations that have not ended.
    pub(super) fn live(&self) -> usize {
        self.seen().live.len()
    }

    /// The numbers of those that have ended.
    pub(super) fn counts(&self) -> Counts {
        self.seen().counts
    }

    /// Those that followed from the invocation from outside, have ended and failed. Held until [`open`](Self::open).
    pub(super) fn failed(&self) -> Vec<Ended> {
        let has_failed = |ended: &&Ended| !ended.outcome.is_completed() && ended.invocation.parent.is_some();
        self.seen().held_back.iter().filter(has_failed).cloned().collect()
    }

    /// Waits until nothing that was accepted is left.
    pub(super) async fn all_ended(&self, runtime: &Runtime) -> Counts {
        let none_left = |seen: &Seen| seen.live.is_empty().then_some(seen.counts);
        self.wait_for(runtime, none_left).await
    }

    /// Waits until the invocation from outside has ended.
    pub(super) async fn root_ended(&self, runtime: &Runtime) -> Ended {
        self.wait_for(runtime, |seen| seen.root.clone()).await
    }

    async fn wait_for<T>(&self, runtime: &Runtime, seen: impl Fn(&Seen) -> Option<T>) -> T {
        let wait = async {
            loop {
                // One task waits, and a notice that comes before the wait is kept.
                if let Some(what) = seen(&self.seen()) {
                    return what;
                }
                self.ended.notified().await;
            }
        };
        tokio::select! {
            what = wait => what,
            never = self.say_waits(runtime) => match never {},
        }
    }

    /// Never resolves; says what is waited for, if nothing runs: at once if all of it is due later, else when nothing has
    /// ended for a while. An invocation is named once.
    async fn say_waits(&self, runtime: &Runtime) -> Infallible {
        let (mut ended_before, mut named, mut pause) = (None, HashSet::new(), FIRST);
        loop {
            sleep(pause).await;
            pause = QUIET;
            let (ended, live) = {
                let seen = self.seen();
                let live = seen.live.iter().copied().take(MAX_LOOKED_UP).collect::<Batch<Cid>>();
                (seen.counts.ended, live)
            };
            let is_still = ended_before.replace(ended) == Some(ended);
            let Ok(found) = runtime.shared().engine.find(live).await else { continue };
            let found: Vec<_> = found.into_iter().flatten().collect();
            let later = SystemTime::now() + QUIET;
            let is_due_later = |found: &InvocationInfo| match &found.status {
                Status::Waiting(WaitReason::Until(at)) => *at > later,
                Status::Waiting(WaitReason::Key { .. }) | Status::Open(_) => true,
                _ => false,
            };
            let runs = |found: &InvocationInfo| matches!(found.status, Status::Running { .. });
            let waits = |found: &&InvocationInfo| matches!(found.status, Status::Waiting(_));
            let is_new = |found: &InvocationInfo| !named.contains(&found.cid());
            if found.iter().any(runs) || !found.iter().any(|found| waits(&found) && is_new(found)) {
                continue;
            }
            if is_still || found.iter().all(is_due_later) {
                say_waiting(&found, runtime, self.output);
                named.extend(found.iter().filter(waits).map(InvocationInfo::cid));
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Follow {
    fn entering(&self, cid: Cid, _: Cid, _: Channel) {
        self.seen().live.insert(cid);
    }

    fn refused(&self, cid: Cid, _: Cid, _: Channel) {
        self.seen().live.remove(&cid);
        self.ended.notify_one();
    }

    fn ended(&self, ended: &Ended) {
        let mut seen = self.seen();
        if seen.is_open {
            // Printed under the lock, so that the last outcome is printed before the program ends.
            self.output.ended(ended);
        } else {
            seen.held_back.push(ended.clone());
        }
        if ended.invocation.parent.is_none() {
            seen.root = Some(ended.clone());
        }
        seen.live.remove(&ended.invocation.cid);
        seen.counts.ended += 1;
        seen.counts.failed += usize::from(!ended.outcome.is_completed());
        drop(seen);
        self.ended.notify_one();
    }
}

/// Says what some of these wait for.
fn say_waiting(found: &[InvocationInfo], runtime: &Runtime, output: Output) {
    let view = Source { door: Audience::CommandLine, zone: output.zone, ..runtime.view() };
    let teller = StatusWriter::new(view);
    let mut waiting: Vec<_> =
        found.iter().filter(|found| matches!(found.status, Status::Waiting(_))).collect();
    waiting.sort_by_key(|found| found.cid());
    for found in waiting.iter().take(MAX_NAMED) {
        say(&format!("{} {} {}", found.cid(), found.service(), teller.stands(found)));
    }
    if waiting.len() > MAX_NAMED {
        say(&format!("and {} more", grouped(waiting.len() - MAX_NAMED)));
    }
    let url = runtime.shared().engine.url();
    if engine::keeps(url) {
        let url = escaped(url);
        say(&format!(
            "this command waits for these invocations only: ctrl-C leaves them in `{url}` for `serve`; \
             `invoke --no-wait` does not wait"
        ));
    } else {
        say(
            "this command waits for these invocations only: ctrl-C ends it and cancels them, because `memory:` keeps nothing",
        );
    }
}
