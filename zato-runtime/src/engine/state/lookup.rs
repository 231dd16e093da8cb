//! What can be asked of the memory engine's state.

use tokio::sync::oneshot;
use zato_core::{Cid, Outcome};

use super::entry::{Cancel, Held, Hold, Waiting};
use super::state::State;
use super::store::Left;
use super::store::{Past, Store};
use super::times::starts_at;
use super::tree::Below;
use crate::engine::contract::StoreFault;
use crate::record::AttemptId;
use crate::record::lookup::{DiscardAnswer, Filter, Found, Stage, Status, Tree, Waits};

impl<S: Store> State<S> {
    pub(in crate::engine) fn is_running(&self, id: AttemptId) -> bool {
        matches!(
            self.held.get(&id.cid),
            Some(Held::Delivered(delivered)) if delivered.runs && delivered.attempt() == id.number
        )
    }

    /// The outcome, or who will be told of it; `None` if the invocation is not held.
    pub(in crate::engine) fn outcome(
        &mut self,
        cid: Cid,
    ) -> Result<Option<Result<Outcome, oneshot::Receiver<Outcome>>>, StoreFault> {
        let Some(held) = self.held.get(&cid) else {
            if let Some(past) = self.gone(cid)? {
                return Ok(Some(Ok(past.ended.outcome.clone())));
            }
            let is_left = self.store.left(cid)?.is_some();
            return Ok(is_left.then(|| Err(self.listen(cid))));
        };
        Ok(match held {
            Held::Ended { ended, .. } => Some(Ok(ended.outcome.clone())),
            Held::Waiting(_) | Held::Delivered(_) | Held::Open(_) => Some(Err(self.listen(cid))),
        })
    }

    /// Who will be told of the outcome of one that has not ended.
    fn listen(&mut self, cid: Cid) -> oneshot::Receiver<Outcome> {
        let (tell, told) = oneshot::channel();
        let waiters = self.tell.entry(cid).or_default();
        if waiters.len() == waiters.capacity() {
            // Before it grows: whoever gave up waiting is not kept.
            waiters.retain(|waiter| !waiter.is_closed());
        }
        waiters.push(tell);
        told
    }

    pub(in crate::engine) fn find(&self, cid: Cid) -> Result<Option<Found>, StoreFault> {
        if let Some(held) = self.held.get(&cid) {
            return Ok(Some(self.found(held)));
        }
        if let Some(past) = self.gone(cid)? {
            return Ok(Some(self.found_past(past)));
        }
        Ok(self.store.left(cid)?.map(|left| self.found_left(left)))
    }

    /// One that waits and is not held, as it stands.
    pub(in crate::engine) fn found_left(&self, left: Left) -> Found {
        let Left { invocation, before, is_behind, .. } = left;
        let attempts = before.as_ref().map_or(0, |before| before.attempts);
        let is_due = || starts_at(&invocation, before.as_deref()).is_none_or(|at| at <= self.clock.now());
        let hold = match is_behind {
            true => Hold::Key,
            false if is_due() => Hold::Beyond,
            false => Hold::Due,
        };
        let waits = match self.queues.known(&invocation.service) {
            Some(service) => {
                let (invocation, before) = (invocation.clone(), before.clone());
                self.waits_for(&Waiting { invocation, before, number: 0, service, hold })
            }
            None => Waits::Host,
        };
        Found::new(invocation, attempts, before, Status::Waiting(waits))
    }

    pub(in crate::engine) fn found(&self, held: &Held) -> Found {
        let found = self.stands(held);
        let id = AttemptId { cid: found.cid(), number: found.attempts };
        Found { lingers: !self.lingering.is_empty() && self.lingering.contains_key(&id), ..found }
    }

    fn found_past(&self, Past { ended, again, .. }: Past) -> Found {
        self.found(&Held::Ended { ended, again })
    }

    fn stands(&self, held: &Held) -> Found {
        match held {
            Held::Waiting(waiting) => {
                let attempts = waiting.before.as_ref().map_or(0, |before| before.attempts);
                let status = Status::Waiting(self.waits_for(waiting));
                Found::new(waiting.invocation.clone(), attempts, waiting.before.clone(), status)
            }
            Held::Delivered(delivered) => {
                let is_cancelled = delivered.cancel != Cancel::No;
                let (status, attempts) = if !delivered.runs {
                    (Status::Waiting(Waits::End), delivered.attempt())
                } else if delivered.has_begun {
                    let since = delivered.started_at.into();
                    (Status::Running { since, is_cancelled }, delivered.attempt())
                } else {
                    // It has been handed out, and its handler has not begun.
                    (Status::Waiting(Waits::Turn), delivered.attempt() - 1)
                };
                Found::new(delivered.invocation.clone(), attempts, delivered.before.clone(), status)
            }
            Held::Open(invocation) => {
                let left = self.groups.left(invocation.cid).unwrap_or_default();
                Found::new(invocation.clone(), 0, None, Status::Open(left))
            }
            Held::Ended { ended, again, .. } => Found::ended(ended.clone(), *again),
        }
    }

    /// What keeps it from running now.
    fn waits_for(&self, waiting: &Waiting) -> Waits {
        let queue = self.queues.of(waiting.service);
        match waiting.hold {
            Hold::Restart if waiting.before.is_some() => Waits::Restart,
            Hold::Release => Waits::Release,
            Hold::Ending => Waits::End,
            _ if !queue.is_hosted => Waits::Host,
            _ if queue.is_paused => Waits::Resume,
            Hold::Due => {
                let retry = waiting.before.as_ref().and_then(|before| before.next_at);
                let due = retry.or(waiting.invocation.due.map(Into::into));
                due.map_or(Waits::Turn, Waits::Until)
            }
            // What has not begun is held back by the one that has its key.
            Hold::Key | Hold::Restart => {
                let options = waiting.invocation.options.as_deref();
                let key = options.and_then(|options| options.concurrency_key.clone()).unwrap_or_default();
                let held_by = queue.lanes.first(&key).or_else(|| self.head_of(waiting.service, &key));
                match held_by {
                    Some(held_by) => Waits::Key { key, held_by },
                    None => Waits::Turn,
                }
            }
            Hold::Suspect => Waits::Suspects,
            Hold::Turn | Hold::Beyond => match (queue.concurrency, queue.rate) {
                (Some(most), _) if !queue.has_place() => Waits::Concurrency(most),
                (_, Some(rate)) if queue.is_limited => Waits::Rate(rate),
                _ if self.running >= self.max_running => Waits::Running(self.max_running),
                _ => Waits::Turn,
            },
        }
    }

    /// Everything that is held of a tree, and how much of it is not.
    pub(in crate::engine) fn tree(&self, root: Cid) -> Tree {
        let mut tree = Tree { found: Vec::new(), swept: 0 };
        match self.remembered(root) {
            Below::Held(held) if held.invocation().root == root => tree.found.push(self.found(held)),
            Below::Kept(past) if past.ended.invocation.root == root => tree.found.push(self.found_past(past)),
            Below::Gap => tree.swept += 1,
            _ => return tree,
        }
        self.walk(root, root, true, |below| match below {
            Below::Held(held) => tree.found.push(self.found(held)),
            Below::Kept(past) => tree.found.push(self.found_past(past)),
            Below::Gap => tree.swept += 1,
        });
        tree.found.sort_unstable_by_key(Found::cid);
        tree
    }

    /// What passes the filter.
    pub(in crate::engine) fn list(&self, filter: &Filter) -> Vec<Found> {
        let is_in_stage = |one: &Below<'_>| match (filter.stage, one) {
            (None, _) | (Some(Stage::Ended), Below::Kept(_)) => true,
            (Some(Stage::Waiting), Below::Held(held)) => matches!(held, Held::Waiting(_)),
            (Some(Stage::Running), Below::Held(held)) => {
                matches!(held, Held::Delivered(_) | Held::Open(_))
            }
            (Some(Stage::Ended), Below::Held(held)) => held.has_ended(),
            (Some(Stage::Dead), Below::Held(held)) => {
                matches!(held, Held::Ended { ended, again: None } if ended.is_dead())
            }
            (Some(Stage::Dead), Below::Kept(past)) => past.again.is_none() && past.ended.is_dead(),
            (Some(Stage::Waiting | Stage::Running), Below::Kept(_)) | (Some(_), Below::Gap) => false,
        };
        let passes = |one: &Below<'_>| {
            let Some(invocation) = one.invocation() else { return false };
            is_in_stage(one)
                && filter.before.is_none_or(|before| invocation.cid < before)
                && filter.service.as_deref().is_none_or(|service| service == &*invocation.service)
        };
        let held = self.held.all_held().map(Below::Held);
        let kept = self.store.all_kept().map(Below::Kept);
        let mut all: Vec<_> = held.chain(kept).filter(passes).collect();
        // CIDs are minted in order, and those that callers bring are few.
        let newest_first = |one: &Below<'_>| std::cmp::Reverse(one.invocation().map(|one| one.cid));
        if filter.limit < all.len() {
            all.select_nth_unstable_by_key(filter.limit, newest_first);
            all.truncate(filter.limit);
        }
        all.sort_unstable_by_key(newest_first);
        let found = |one| match one {
            Below::Held(held) => Some(self.found(held)),
            Below::Kept(past) => Some(self.found_past(past)),
            Below::Gap => None,
        };
        all.into_iter().filter_map(found).collect()
    }

    /// Forgets a dead letter.
    pub(in crate::engine) fn discard(&mut self, cid: Cid) -> Result<DiscardAnswer, StoreFault> {
        let Some(past) = self.past(cid)? else {
            let is_held = self.held.is_held(&cid) || self.store.left(cid)?.is_some();
            return Ok(if is_held { DiscardAnswer::NotDead } else { DiscardAnswer::NotHeld });
        };
        // A group that has not ended needs the outcomes of its members.
        let group = past.ended.invocation.slot.and_then(|slot| self.held.get(&slot.group));
        if !past.ended.is_dead() || past.again.is_some() || group.is_some_and(|group| !group.has_ended()) {
            return Ok(DiscardAnswer::NotDead);
        }
        if !self.discard_kept(cid) {
            self.store.discarded(&past.ended);
            self.forget(cid);
        }
        Ok(DiscardAnswer::Discarded)
    }

    /// Everything of the tree below an invocation that has not ended.
    pub(in crate::engine) fn below(&self, cid: Cid) -> Vec<Cid> {
        let root = match self.remembered(cid) {
            Below::Held(held) => held.invocation().root,
            Below::Kept(past) => past.ended.invocation.root,
            Below::Gap => return Vec::new(),
        };
        let mut open = Vec::new();
        self.walk(cid, root, false, |below| match below {
            Below::Held(held) if !held.has_ended() => open.push(held.invocation().cid),
            _ => {}
        });
        open
    }
}
