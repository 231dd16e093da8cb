//! How invocations end in the memory engine, and what is left to do then.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::oneshot;
use zato_core::{Cid, Ending, Invocation, Outcome, Payload};

use super::groups::Full;
use super::held::{Cancel, Delivered, Held, Waiting};
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
            Some(Held::Delivered(delivered)) => delivered.cancel,
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
            Held::Ended { ended, .. } => CancelAnswer::Ended(ended.outcome.clone()),
            Held::Waiting(Waiting { number, .. }) => {
                let ticket = Ticket { number: *number, cid };
                self.to_end.push_back((ticket, Task::Cancel));
                CancelAnswer::Ending
            }
            Held::Delivered(Delivered { runs: false, .. }) => CancelAnswer::Ending,
            Held::Delivered(Delivered { cancel, attempt, .. }) => {
                *cancel =
                    if with_tree || *cancel == Cancel::WithTree { Cancel::WithTree } else { Cancel::Alone };
                CancelAnswer::Noted(AttemptId { cid, number: *attempt })
            }
            Held::Open(_) => {
                self.groups.cancel(cid);
                CancelAnswer::Open
            }
        })
    }

    /// Ends a group whose members have all ended; answers with its callbacks.
    pub(super) fn end_group(&mut self, (group, rows): &Full) -> (Arc<Ended>, Batch<Arc<Invocation>>) {
        let (ended, callbacks) = match &self.join {
            Some(join) => join.join(group, rows),
            None => (self.cancelled(group.clone(), "no one joins its members"), Batch::new()),
        };
        (self.end(ended), callbacks)
    }

    pub(super) fn end(&mut self, ended: Ended) -> Arc<Ended> {
        let ended = Arc::new(ended);
        for child in self.repeats.forget(ended.invocation.cid) {
            if let Some(Held::Ended { ended, .. }) = self.held.get(&child) {
                self.remembered.push(child, bytes(ended), ended.ended_at);
            }
        }
        let id = AttemptId { cid: ended.invocation.cid, number: ended.attempts };
        match self.lingering.get_mut(&id) {
            Some(lingering) => lingering.has_ended = true,
            None if ended.invocation.options.is_some() => self.leave_lane(&ended.invocation),
            None => {}
        }
        if !self.tell.is_empty()
            && let Some(waiters) = self.tell.remove(&ended.invocation.cid)
        {
            self.aftermath.told.extend(waiters.into_iter().map(|waiter| (waiter, ended.outcome.clone())));
        }
        self.remember(ended.clone());
        ended
    }

    pub(super) fn remember(&mut self, ended: Arc<Ended>) {
        let (cid, ended_at) = (ended.invocation.cid, ended.ended_at);
        let kept = if ended.is_dead() { &mut self.dead } else { &mut self.remembered };
        kept.push(cid, bytes(&ended), ended_at);
        self.held.insert(cid, Held::Ended { ended, again: None });
        while let Some(oldest) =
            self.remembered.pop_surplus(ended_at).or_else(|| self.dead.pop_surplus(ended_at))
        {
            // Another attempt of its caller may ask for it.
            let has_completed = |held: &Held| matches!(held, Held::Ended { ended, .. } if !ended.is_dead());
            if self.held.get(&oldest).is_some_and(has_completed) && self.repeats.keep(oldest) {
                continue;
            }
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
        self.lingering.clear();
        self.groups.clear();
        let left: Vec<_> = self
            .held
            .values()
            .filter_map(|held| match held {
                Held::Waiting(waiting) => Some((waiting.invocation.clone(), waiting.before.clone(), None)),
                Held::Open(invocation) => Some((invocation.clone(), None, None)),
                Held::Delivered(delivered) => Some((
                    delivered.invocation.clone(),
                    delivered.before.clone(),
                    delivered.runs.then_some((delivered.attempt, delivered.started_at)),
                )),
                Held::Ended { .. } => None,
            })
            .collect();
        (self.running, self.waiting, self.waiting_bytes) = (0, 0, 0);
        let count = left.len();
        for (invocation, before, runs) in left {
            let why = "the runtime was shut down before it ended, and `memory:` keeps nothing";
            let mut ended = self.cancelled(invocation, why);
            let last =
                before.as_ref().and_then(|before| Some((before.attempts, before.tried.last()?.started_at)));
            if let Some((attempts, started_at)) = runs.or(last) {
                (ended.attempts, ended.started_at) = (attempts, Some(started_at));
            }
            self.end(Ended { before, ..ended });
        }
        count
    }

    fn cancelled(&self, invocation: Arc<Invocation>, why: &str) -> Ended {
        let outcome = Outcome::Cancelled(Ending::new(why, false));
        let ended_at = self.clock.now();
        Ended { invocation, outcome, attempts: 0, started_at: None, ended_at, before: None }
    }
}

/// How many bytes a remembered invocation holds: its request, and its response or error.
pub(super) fn bytes(ended: &Ended) -> usize {
    let result = ended.outcome.payload().map_or(0, Payload::len) + ended.outcome.error().map_or(0, str::len);
    ended.invocation.payload.len() + result
}
