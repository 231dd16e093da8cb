//! How invocations end in the memory engine, and what is left to do then.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::oneshot;
use zato_core::{Cid, Ending, Invocation, Outcome, Payload};

use super::groups::Full;
use super::held::{Cancel, Held};
use super::queues::{Queues, Ticket};
use super::state::State;
use super::timers::Timers;
use crate::record::{Accept, AttemptId, Batch, CancelAnswer, Ended, Task};

/// What is done once the lock is released: freeing memory takes longer than all else, and waking somebody runs
/// code that is not ours.
#[derive(Debug, Default)]
#[must_use = "waiters are told when it is finished"]
pub(super) struct Aftermath {
    forgotten: SmallVec<[Held; 2]>,
    told: Vec<(oneshot::Sender<Outcome>, Outcome)>,
}

impl Aftermath {
    /// Tells who waits, and frees what is no longer remembered.
    pub(super) fn finish(self) {
        for (waiter, outcome) in self.told {
            // Who no longer listens needs no answer.
            let _ = waiter.send(outcome);
        }
    }
}

impl State {
    /// What is to be finished once the lock is released.
    pub(super) fn take_aftermath(&mut self) -> Aftermath {
        std::mem::take(&mut self.aftermath)
    }

    pub(super) fn cancel_of(&self, cid: Cid) -> Cancel {
        match self.held.get(&cid) {
            Some(Held::Delivered { cancel, .. }) => *cancel,
            _ => Cancel::No,
        }
    }

    /// Whether what is to be accepted is of a tree that is being cancelled.
    pub(super) fn is_cancelled_with(&self, accept: &Accept) -> bool {
        let Some(by) = accept.by.filter(|by| self.cancel_of(by.cid) == Cancel::WithTree) else {
            return false;
        };
        self.held.get(&by.cid).is_some_and(|held| held.invocation().root == accept.invocation.root)
    }

    /// Has what waits ended, and notes of what runs that it is to stop; `None` if it is not held.
    pub(super) fn cancel(&mut self, cid: Cid, with_tree: bool) -> Option<CancelAnswer> {
        Some(match self.held.get_mut(&cid)? {
            Held::Ended(ended) => CancelAnswer::Ended(ended.outcome.clone()),
            Held::Waiting { number, .. } => {
                let ticket = Ticket { number: *number, cid };
                self.to_end.push_back((ticket, Task::Cancel));
                CancelAnswer::Ending
            }
            Held::Delivered { runs: false, .. } => CancelAnswer::Ending,
            Held::Delivered { cancel, attempt, .. } => {
                *cancel =
                    if with_tree || *cancel == Cancel::WithTree { Cancel::WithTree } else { Cancel::Alone };
                CancelAnswer::Noted(AttemptId { cid, number: *attempt })
            }
            Held::Open(_) => CancelAnswer::Open,
        })
    }

    /// Ends a group whose members have all ended; answers with its callbacks.
    pub(super) fn end_group(&mut self, (group, rows): &Full) -> (Arc<Ended>, Batch<Arc<Invocation>>) {
        let (ended, callbacks) = match &self.join {
            Some(join) => join.join(group, rows),
            None => (self.cancelled(group.clone(), 0, "no one joins its members"), Batch::new()),
        };
        (self.end(ended), callbacks)
    }

    pub(super) fn end(&mut self, ended: Ended) -> Arc<Ended> {
        let ended = Arc::new(ended);
        self.repeats.forget(ended.invocation.cid);
        if !self.tell.is_empty()
            && let Some(waiters) = self.tell.remove(&ended.invocation.cid)
        {
            self.aftermath.told.extend(waiters.into_iter().map(|waiter| (waiter, ended.outcome.clone())));
        }
        self.remember(ended.clone());
        ended
    }

    pub(super) fn remember(&mut self, ended: Arc<Ended>) {
        let result =
            ended.outcome.payload().map_or(0, Payload::len) + ended.outcome.error().map_or(0, str::len);
        self.remembered.push(ended.invocation.cid, ended.invocation.payload.len() + result);
        self.held.insert(ended.invocation.cid, Held::Ended(ended));
        while let Some(oldest) = self.remembered.pop_surplus() {
            self.aftermath.forgotten.extend(self.held.remove(&oldest));
            if !self.hidden.is_empty() {
                self.hidden.remove(&oldest);
            }
        }
    }

    /// Ends everything that has not ended as `Cancelled`; answers how many there were.
    pub(super) fn close(&mut self) -> usize {
        self.draining = true;
        self.closed = true;
        self.queues = Queues::default();
        self.timers = Timers::default();
        self.to_end.clear();
        self.groups.clear();
        let left: Vec<_> = self
            .held
            .values()
            .filter_map(|held| match held {
                Held::Waiting { invocation, progress, .. } => {
                    Some((invocation.clone(), progress.as_ref().map_or(0, |progress| progress.attempts)))
                }
                Held::Open(invocation) => Some((invocation.clone(), 0)),
                Held::Delivered { invocation, attempt, .. } => Some((invocation.clone(), *attempt)),
                Held::Ended(_) => None,
            })
            .collect();
        (self.running, self.waiting, self.waiting_bytes) = (0, 0, 0);
        let count = left.len();
        for (invocation, attempts) in left {
            let why = "the runtime was shut down before it ended, and `memory:` keeps nothing";
            self.end(self.cancelled(invocation, attempts, why));
        }
        count
    }

    fn cancelled(&self, invocation: Arc<Invocation>, attempts: u32, why: &str) -> Ended {
        let outcome = Outcome::Cancelled(Ending::new(why, false));
        Ended { invocation, outcome, attempts, started_at: None, ended_at: self.clock.now() }
    }
}
