//! Follows invocations until all that came of them has ended.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use zato_core::{Channel, Cid};

use super::output::Output;
use crate::engine;
use crate::found::{Found, Status};
use crate::observer::Observer;
use crate::record::{Batch, Ended};
use crate::runtime::Runtime;
use crate::standing::Teller;
use crate::words::shown;

/// How long nothing may happen before it is said what is waited for.
const QUIET: Duration = Duration::from_secs(3);

/// How many of those that wait are told of.
const MAX_TOLD: usize = 3;

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

/// What all came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// How many have ended.
    pub(super) ended: usize,
    /// How many of them in anything but `Completed`.
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
                // There is one who waits, and a word that comes before the wait is kept.
                if let Some(what) = seen(&self.seen()) {
                    return what;
                }
                self.ended.notified().await;
            }
        };
        tokio::select! {
            what = wait => what,
            never = self.tell_waits(runtime) => match never {},
        }
    }

    /// Never resolves; says once what is waited for, where nothing runs and nothing has ended for a while.
    async fn tell_waits(&self, runtime: &Runtime) -> Infallible {
        let mut ended_before = 0;
        loop {
            sleep(QUIET).await;
            let (ended, live) = {
                let seen = self.seen();
                (seen.counts.ended, seen.live.iter().copied().collect::<Batch<Cid>>())
            };
            let has_moved = std::mem::replace(&mut ended_before, ended) != ended;
            let Ok(found) = runtime.shared().engine.find(live).await else { continue };
            let found: Vec<_> = found.into_iter().flatten().collect();
            let runs = |found: &Found| matches!(found.status, Status::Running { .. });
            if !has_moved && !found.is_empty() && !found.iter().any(runs) {
                tell(&found, runtime);
                return pending().await;
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Follow {
    fn entering(&self, cid: Cid, _: Channel) {
        self.seen().live.insert(cid);
    }

    fn refused(&self, cid: Cid, _: Channel) {
        self.seen().live.remove(&cid);
        self.ended.notify_one();
    }

    fn ended(&self, ended: &Ended) {
        let mut seen = self.seen();
        if seen.is_open {
            // Printed under the lock: the last outcome stands there before the program ends.
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
fn tell(found: &[Found], runtime: &Runtime) {
    let teller = Teller::new(runtime.shared().view());
    let waiting = found.iter().filter(|found| matches!(found.status, Status::Waiting(_)));
    for found in waiting.take(MAX_TOLD) {
        eprintln!("{} {} {}", found.cid(), found.service(), teller.stands(found));
    }
    let url = runtime.shared().engine.url();
    if engine::keeps(url) {
        let url = shown(url);
        eprintln!(
            "this waits for that, and nothing else is left to do: ctrl-C leaves it in `{url}` for `serve`"
        );
    }
}
