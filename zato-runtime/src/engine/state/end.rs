//! Ends invocations, and collects what follows from that.

use std::sync::Arc;

use zato_core::{Cid, Ending, Invocation, Outcome, Slot};

use super::deferred::Deferred;
use super::entry::{Cancel, Delivered, Entry, Waiting};
use super::groups::Full;
use super::place::Oldest;
use super::place::Place;
use super::place::Ticket;
use super::queues::Queues;
use super::state::State;
use super::store::{EndedRecord, Store};
use super::table::Node;
use super::timers::Timers;
use crate::engine::contract::StoreFault;
use crate::record::{Accept, AttemptId, Batch, CancelAnswer, Ended, Task};

/// What holds fewer bytes is freed at once.
const FREED_AT_ONCE: usize = 1_024;

impl<S: Store> State<S> {
    /// What is to be finished once the lock is released.
    pub(in crate::engine) fn take_deferred(&mut self) -> Deferred {
        std::mem::take(&mut self.deferred)
    }

    /// Whether anything is.
    pub(in crate::engine) fn has_deferred(&self) -> bool {
        let Deferred { forgotten, kept, told } = &self.deferred;
        !forgotten.is_empty() || !kept.is_empty() || !told.is_empty()
    }

    pub(in crate::engine) fn cancel_of(&self, cid: Cid) -> Cancel {
        match self.held.get(&cid) {
            Some(Entry::Delivered(delivered)) => delivered.cancel,
            _ => Cancel::No,
        }
    }

    /// Whether what is to be accepted is of a tree that is being cancelled.
    pub(in crate::engine) fn is_cancelled_with(&self, accept: &Accept) -> bool {
        let Some(by) = accept.by.filter(|by| self.cancel_of(by.cid) == Cancel::WithTree) else {
            return false;
        };
        self.held.get(&by.cid).is_some_and(|held| held.invocation().root == accept.invocation.root)
    }

    /// Has what waits ended, and notes of what runs that it is to stop; `None` if it is not held.
    pub(in crate::engine) fn cancel(
        &mut self,
        cid: Cid,
        with_tree: bool,
    ) -> Result<Option<CancelAnswer>, StoreFault> {
        if let Some(answer) = self.cancel_held(cid, with_tree) {
            return Ok(Some(answer));
        }
        if let Some(past) = self.gone(cid)? {
            return Ok(Some(CancelAnswer::Ended(past.ended.outcome.clone())));
        }
        let Some(left) = self.store.left(cid)? else { return Ok(None) };
        self.hold_again(left);
        Ok(self.cancel_held(cid, with_tree))
    }

    /// The same for what the state holds.
    pub(in crate::engine) fn cancel_held(&mut self, cid: Cid, with_tree: bool) -> Option<CancelAnswer> {
        let place = self.held.place(&cid)?;
        Some(match self.held.held_mut(place)? {
            Entry::Ended { ended, .. } => CancelAnswer::Ended(ended.outcome.clone()),
            Entry::Waiting(Waiting { number, .. }) => {
                let ticket = Ticket { number: *number, cid, place };
                self.end_soon(ticket, Task::Cancel);
                CancelAnswer::Ending
            }
            Entry::Delivered(Delivered { runs: false, .. }) => CancelAnswer::Ending,
            Entry::Delivered(delivered) => {
                let with_tree = with_tree || delivered.cancel == Cancel::WithTree;
                delivered.cancel = if with_tree { Cancel::WithTree } else { Cancel::Alone };
                self.store.cancelled(cid, with_tree);
                CancelAnswer::Noted(Box::new(delivered.delivery(place.lease(delivered.number))))
            }
            Entry::Open(_) => {
                self.groups.cancel(cid);
                self.store.cancelled(cid, with_tree);
                CancelAnswer::Open
            }
        })
    }

    /// Ends a group whose members have all ended; answers with its callbacks.
    pub(in crate::engine) fn end_group(
        &mut self,
        (group, rows): &Full,
    ) -> (Arc<Ended>, Batch<Arc<Invocation>>) {
        let (ended, callbacks) = match &self.join {
            Some(join) => join.join(group, rows),
            None => self.not_joined(group),
        };
        let place = self.held.place_of(group.cid);
        (self.end_shared(place, ended), callbacks)
    }

    fn not_joined(&self, group: &Arc<Invocation>) -> (Ended, Batch<Arc<Invocation>>) {
        (self.cancelled(group.clone(), "no one joins its members"), Batch::new())
    }

    /// Ends a member of a group; answers with all of its group, if it is the last of them.
    pub(in crate::engine) fn end_member(&mut self, place: Place, slot: Slot, ended: Ended) -> Option<Full> {
        let ended = self.end_shared(place, ended);
        self.groups.fill(slot, &ended)
    }

    /// Ends one where it stands.
    pub(in crate::engine) fn end_at(&mut self, place: Place, ended: Ended) {
        if S::WRITES_DOWN {
            self.end_shared(place, ended);
        } else {
            self.note_end(&ended);
            self.keep_at(place, ended, None);
        }
    }

    /// Ends one that somebody else looks at as well.
    pub(in crate::engine) fn end_shared(&mut self, place: Place, ended: Ended) -> Arc<Ended> {
        self.note_end(&ended);
        let ended = Arc::new(ended);
        if S::WRITES_DOWN {
            self.store.ended(&ended);
            self.hold_ended(place, ended.clone());
        } else if self.is_below_open(place) {
            // It would only be put off when its turn to be forgotten comes.
            self.hold_ended(place, ended.clone());
        } else {
            self.keep_at(place, Ended::clone(&ended), None);
        }
        ended
    }

    /// Finishes the end of an invocation, once its callbacks are in the table: until then its entry must stay.
    pub(in crate::engine) fn finish_end(&mut self, place: Place) {
        if !S::WRITES_DOWN {
            self.held.close(place);
            self.forget_surplus();
        }
    }

    /// A synchronous call has ended inside an attempt that is being settled.
    pub(in crate::engine) fn end_inside(&mut self, ended: Ended, number: u64) {
        let place = self.held.place_of(ended.invocation.cid);
        if S::WRITES_DOWN {
            let ended = Arc::new(ended);
            self.store.ended_inside(&ended, number);
            self.hold_ended(place, ended);
        } else {
            self.link(place, self.above(&ended.invocation), None);
            self.keep_at(place, ended, None);
            self.held.close(place);
        }
    }

    fn note_end(&mut self, ended: &Ended) {
        self.call_dedup.forget(ended.invocation.cid);
        self.store.has_ended(ended.invocation.cid);
        let id = AttemptId { cid: ended.invocation.cid, number: ended.attempts };
        let lingering = if self.overruns.is_empty() { None } else { self.overruns.get_mut(&id) };
        match lingering {
            Some(lingering) => lingering.has_ended = true,
            None if ended.invocation.options.is_some() => self.leave_lane(&ended.invocation),
            None => {}
        }
        if !self.tell.is_empty()
            && let Some(waiters) = self.tell.remove(&ended.invocation.cid)
        {
            self.deferred.told.extend(waiters.into_iter().map(|waiter| (waiter, ended.outcome.clone())));
        }
    }

    /// Holds what has ended until it is written down.
    fn hold_ended(&mut self, place: Place, ended: Arc<Ended>) {
        self.held.put(place, Node::Held(Entry::Ended { ended, again: None }));
    }

    /// Keeps what has ended, where nothing is written down.
    fn keep_at(&mut self, place: Place, ended: Ended, again: Option<Cid>) {
        let cid = ended.invocation.cid;
        let holds_ended = || {
            let mut below = self.held.below(place);
            below.any(|(_, node)| matches!(node, Node::Held(Entry::Ended { .. })))
        };
        let is_apart = || !self.is_below_open(place) && !holds_ended();
        if again.is_none() && self.hidden.is_empty() && is_apart() && self.store.keep_unindexed(&ended) {
            // Its callbacks may be put below it: `finish_end` closes the gap.
            self.held.put(place, Node::Gap { cid, ran_again: false });
            return;
        }
        if !ended.is_dead() {
            // What is kept is in the order in which it ended.
            self.index_history();
        }
        let hidden_by = if self.hidden.is_empty() { None } else { self.hidden.get(&cid).copied() };
        let number = self.store.keep(place, ended, again, hidden_by);
        self.held.put(place, Node::Kept(number));
        // What was held for it alone is kept as long as all else from now on.
        let put_off: Vec<_> = self
            .held
            .below(place)
            .filter_map(|(place, node)| match node {
                Node::Held(Entry::Ended { ended, again }) => Some((place, ended.clone(), *again)),
                _ => None,
            })
            .collect();
        let kept = put_off.iter().filter(|(_, ended, _)| !ended.is_dead()).count();
        let mut surplus = kept.saturating_sub(self.store.most_kept());
        for (place, ended, again) in put_off {
            let is_for_its_key = || self.store.is_kept_for_its_key(ended.invocation.cid);
            let has_none_below = || self.held.below(place).next().is_none();
            if surplus > 0 && !ended.is_dead() && has_none_below() && !is_for_its_key() {
                // It would be kept to be forgotten at once.
                surplus -= 1;
                self.leave_gap(place, ended.invocation.cid, false);
            } else {
                self.keep_at(place, Ended::clone(&ended), again);
                self.held.close(place);
            }
        }
    }

    /// Gives everything that is kept its entry in the table, so that it is found.
    pub(in crate::engine) fn index_history(&mut self) {
        while let Some((cid, above)) = self.store.next_unindexed() {
            let place = self.held.place_of(cid);
            let Some(number) = self.store.index(place) else { return };
            self.held.put(place, Node::Kept(number));
            // It has been in the table since it ended if others are below it, and is linked then.
            if self.held.above(place).is_none() {
                self.link(place, above, None);
            }
        }
    }

    /// Forgets what is kept beyond what is to be.
    pub(in crate::engine) fn forget_surplus(&mut self) {
        while self.store.forget_unindexed() {}
        while let Some(oldest) = self.store.surplus() {
            self.forget_oldest(oldest);
        }
        while let Some(cid) = self.store.next_unpinned() {
            self.unpin(cid);
        }
    }

    /// Forgets one that was kept for its idempotency key alone.
    fn unpin(&mut self, cid: Cid) {
        if let (Some(place), Some(number)) = (self.held.place(&cid), self.held.kept(&cid))
            && number.is_pinned()
            && let Some(past) = self.store.kept(number)
        {
            self.forget_oldest(Oldest { number, place, cid, bytes: past.ended.bytes() });
        }
    }

    /// Whether what it stands below has not ended.
    fn is_below_open(&self, place: Place) -> bool {
        matches!(self.held.above(place), Some(Node::Held(above)) if !above.has_ended())
    }

    /// Forgets one that was kept, unless that above it has not ended, which may ask for it, or be cancelled with what is
    /// below it: then it is held again until that has.
    fn forget_oldest(&mut self, oldest: Oldest) {
        let Oldest { number, place, .. } = oldest;
        if self.is_below_open(place) {
            if let Some(EndedRecord { ended, again, .. }) = self.store.kept(number) {
                self.held.put(place, Node::Held(Entry::Ended { ended, again }));
            }
            drop(self.store.take_kept(number));
        } else if let Some(pinned) = self.store.pin(number) {
            self.held.put(place, Node::Kept(pinned));
        } else {
            self.drop_kept(oldest);
        }
    }

    /// Forgets what stands there.
    fn leave_gap(&mut self, place: Place, cid: Cid, ran_again: bool) {
        self.held.put(place, Node::Gap { cid, ran_again });
        self.held.close(place);
        if !self.hidden.is_empty() {
            self.hidden.remove(&cid);
        }
    }

    /// Forgets one that was kept.
    fn drop_kept(&mut self, Oldest { number, place, cid, bytes }: Oldest) {
        let kept = self.store.take_kept(number);
        let ran_again =
            kept.as_ref().is_some_and(|past| past.ended.invocation.stands_below_what_it_runs_again());
        self.leave_gap(place, cid, ran_again);
        if bytes > FREED_AT_ONCE {
            self.deferred.kept.extend(kept);
        }
    }

    /// Forgets a dead letter that was kept; answers whether it was.
    pub(in crate::engine) fn discard_kept(&mut self, cid: Cid) -> bool {
        let (Some(place), Some(number)) = (self.held.place(&cid), self.held.kept(&cid)) else { return false };
        self.store.forget_key_of(cid);
        if let Some(past) = self.store.kept(number) {
            self.drop_kept(Oldest { number, place, cid, bytes: past.ended.bytes() });
        }
        for (number, place) in self.store.close_up() {
            self.held.put(place, Node::Kept(number));
        }
        true
    }

    /// Holds it no longer.
    pub(in crate::engine) fn forget(&mut self, cid: Cid) {
        if let Some(held) = self.held.forget(cid) {
            if !self.hidden.is_empty() {
                self.hidden.remove(&cid);
            }
            self.deferred.forgotten.push(held);
        }
    }

    /// Ends everything that has not ended as `Cancelled`; answers how many there were.
    pub(in crate::engine) fn close(&mut self) -> usize {
        self.draining = true;
        self.closed = true;
        self.queues = Queues::new(self.queues.window);
        self.timers = Timers::default();
        self.to_end.clear();
        self.overruns.clear();
        self.groups.clear();
        let left: Vec<_> = self
            .held
            .all_held()
            .filter_map(|held| match held {
                Entry::Waiting(waiting) => Some((waiting.invocation.clone(), waiting.before.clone(), None)),
                Entry::Open(invocation) => Some((invocation.clone(), None, None)),
                Entry::Delivered(delivered) => Some((
                    delivered.invocation.clone(),
                    delivered.before.clone(),
                    delivered.runs.then(|| (delivered.attempt(), delivered.started_at)),
                )),
                Entry::Ended { .. } => None,
            })
            .collect();
        (self.running, self.waiting, self.waiting_bytes) = (0, 0, 0);
        let count = left.len();
        for (invocation, before, runs) in left {
            let why = "the runtime was shut down before it ended, and `memory:` keeps nothing";
            let mut ended = self.cancelled(invocation, why);
            let last = before
                .as_ref()
                .and_then(|before| Some((before.attempts, before.tried.last()?.started_at.into())));
            if let Some((attempts, started_at)) = runs.or(last) {
                (ended.attempts, ended.started_at) = (attempts, Some(started_at));
            }
            let place = self.held.place_of(ended.invocation.cid);
            self.end_at(place, Ended { before, ..ended });
            self.finish_end(place);
        }
        count
    }

    fn cancelled(&self, invocation: Arc<Invocation>, why: &str) -> Ended {
        let outcome = Outcome::Cancelled(Ending::new(why, false));
        let ended_at = self.clock.now();
        Ended { invocation, outcome, attempts: 0, started_at: None, ended_at, before: None }
    }
}
