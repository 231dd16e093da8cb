//! Follows invocations until all that came of them has ended.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use zato_core::{Cid, Invocation};

use super::output::Output;
use crate::observer::Observer;
use crate::record::Ended;

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
    pub(super) async fn all_ended(&self) -> Counts {
        loop {
            // There is one who waits, and a word that comes before the wait is kept.
            {
                let seen = self.seen();
                if seen.live.is_empty() {
                    return seen.counts;
                }
            }
            self.ended.notified().await;
        }
    }

    /// Waits until the invocation from outside has ended.
    pub(super) async fn root_ended(&self) -> Ended {
        loop {
            if let Some(root) = self.seen().root.clone() {
                return root;
            }
            self.ended.notified().await;
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Follow {
    fn entering(&self, invocation: &Invocation) {
        self.seen().live.insert(invocation.cid);
    }

    fn refused(&self, invocation: &Invocation) {
        self.seen().live.remove(&invocation.cid);
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
