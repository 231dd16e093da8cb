//! Look-ups in the state.

use tokio::sync::oneshot;
use zato_core::{Cid, Outcome};

use super::entry::{BlockedBy, Cancel, Entry, Waiting};
use super::state::State;
use super::store::Pending;
use super::store::{EndedRecord, Store};
use super::times::starts_at;
use super::tree::TreeNode;
use crate::engine::contract::StoreFault;
use crate::record::AttemptId;
use crate::record::lookup::{DiscardAnswer, Filter, InvocationInfo, Status, StatusFilter, Tree, WaitReason};

impl<S: Store> State<S> {
    pub(in crate::engine) fn is_running(&self, id: AttemptId) -> bool {
        matches!(
            self.held.get(&id.cid),
            Some(Entry::Delivered(delivered)) if delivered.runs && delivered.attempt() == id.number
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
            Entry::Ended { ended, .. } => Some(Ok(ended.outcome.clone())),
            Entry::Waiting(_) | Entry::Delivered(_) | Entry::Open(_) => Some(Err(self.listen(cid))),
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

    pub(in crate::engine) fn find(&self, cid: Cid) -> Result<Option<InvocationInfo>, StoreFault> {
        if let Some(held) = self.held.get(&cid) {
            return Ok(Some(self.found(held)));
        }
        if let Some(past) = self.gone(cid)? {
            return Ok(Some(self.found_past(past)));
        }
        Ok(self.store.left(cid)?.map(|left| self.found_left(left)))
    }

    /// One that waits and is not held, as it stands.
    pub(in crate::engine) fn found_left(&self, left: Pending) -> InvocationInfo {
        let Pending { invocation, before, is_behind, .. } = left;
        let attempts = before.as_ref().map_or(0, |before| before.attempts);
        let is_due =
            || starts_at(&invocation, before.as_deref()).is_none_or(|at| at <= self.clock.system_time());
        let hold = match is_behind {
            true => BlockedBy::Key,
            false if is_due() => BlockedBy::Beyond,
            false => BlockedBy::Due,
        };
        let waits = match self.queues.known(&invocation.service) {
            Some(service) => {
                let (invocation, before) = (invocation.clone(), before.clone());
                self.waits_for(&Waiting { invocation, before, number: 0, service, hold })
            }
            None => WaitReason::Host,
        };
        InvocationInfo::new(invocation, attempts, before, Status::Waiting(waits))
    }

    pub(in crate::engine) fn found(&self, held: &Entry) -> InvocationInfo {
        let found = self.stands(held);
        let id = AttemptId { cid: found.cid(), number: found.attempts };
        InvocationInfo { overruns: !self.overruns.is_empty() && self.overruns.contains_key(&id), ..found }
    }

    fn found_past(&self, EndedRecord { ended, again, .. }: EndedRecord) -> InvocationInfo {
        self.found(&Entry::Ended { ended, again })
    }

    fn stands(&self, held: &Entry) -> InvocationInfo {
        match held {
            Entry::Waiting(waiting) => {
                let attempts = waiting.before.as_ref().map_or(0, |before| before.attempts);
                let status = Status::Waiting(self.waits_for(waiting));
                InvocationInfo::new(waiting.invocation.clone(), attempts, waiting.before.clone(), status)
            }
            Entry::Delivered(delivered) => {
                let is_cancelled = delivered.cancel != Cancel::No;
                let (status, attempts) = if !delivered.runs {
                    (Status::Waiting(WaitReason::End), delivered.attempt())
                } else if delivered.has_begun {
                    let since = delivered.started_at.into();
                    (Status::Running { since, is_cancelled }, delivered.attempt())
                } else {
                    // It has been handed out, and its handler has not begun.
                    (Status::Waiting(WaitReason::Turn), delivered.attempt() - 1)
                };
                InvocationInfo::new(delivered.invocation.clone(), attempts, delivered.before.clone(), status)
            }
            Entry::Open(invocation) => {
                let left = self.groups.left(invocation.cid).unwrap_or_default();
                InvocationInfo::new(invocation.clone(), 0, None, Status::Open(left))
            }
            Entry::Ended { ended, again, .. } => InvocationInfo::ended(ended.clone(), *again),
        }
    }

    /// What keeps it from running now.
    fn waits_for(&self, waiting: &Waiting) -> WaitReason {
        let queue = self.queues.of(waiting.service);
        match waiting.hold {
            BlockedBy::Restart if waiting.before.is_some() => WaitReason::Restart,
            BlockedBy::Release => WaitReason::Release,
            BlockedBy::Ending => WaitReason::End,
            _ if !queue.is_hosted => WaitReason::Host,
            _ if queue.is_paused => WaitReason::Resume,
            BlockedBy::Due => {
                let retry = waiting.before.as_ref().and_then(|before| before.next_at);
                let due = retry.or(waiting.invocation.due.map(Into::into));
                due.map_or(WaitReason::Turn, WaitReason::Until)
            }
            // What has not begun is held back by the one that has its key.
            BlockedBy::Key | BlockedBy::Restart => {
                let options = waiting.invocation.options.as_deref();
                let key = options.and_then(|options| options.concurrency_key.clone()).unwrap_or_default();
                let held_by = queue.lanes.first(&key).or_else(|| self.head_of(waiting.service, &key));
                match held_by {
                    Some(held_by) => WaitReason::Key { key, held_by },
                    None => WaitReason::Turn,
                }
            }
            BlockedBy::Suspect => WaitReason::Suspects,
            BlockedBy::Turn | BlockedBy::Beyond => match (queue.concurrency, queue.rate) {
                (Some(most), _) if !queue.has_place() => WaitReason::Concurrency(most),
                (_, Some(rate)) if queue.is_limited => WaitReason::Rate(rate),
                _ if self.running >= self.max_running => WaitReason::Running(self.max_running),
                _ => WaitReason::Turn,
            },
        }
    }

    /// Everything that is held of a tree, and how much of it is not.
    pub(in crate::engine) fn tree(&self, root: Cid) -> Tree {
        let mut tree = Tree { found: Vec::new(), swept: 0 };
        match self.remembered(root) {
            TreeNode::Held(held) if held.invocation().root == root => tree.found.push(self.found(held)),
            TreeNode::Kept(past) if past.ended.invocation.root == root => {
                tree.found.push(self.found_past(past));
            }
            TreeNode::Gap => tree.swept += 1,
            _ => return tree,
        }
        self.walk(root, root, true, |below| match below {
            TreeNode::Held(held) => tree.found.push(self.found(held)),
            TreeNode::Kept(past) => tree.found.push(self.found_past(past)),
            TreeNode::Gap => tree.swept += 1,
        });
        tree.found.sort_unstable_by_key(InvocationInfo::cid);
        tree
    }

    /// What passes the filter.
    pub(in crate::engine) fn list(&self, filter: &Filter) -> Vec<InvocationInfo> {
        let is_in_stage = |one: &TreeNode<'_>| match (filter.stage, one) {
            (None, _) | (Some(StatusFilter::Ended), TreeNode::Kept(_)) => true,
            (Some(StatusFilter::Waiting), TreeNode::Held(held)) => matches!(held, Entry::Waiting(_)),
            (Some(StatusFilter::Running), TreeNode::Held(held)) => {
                matches!(held, Entry::Delivered(_) | Entry::Open(_))
            }
            (Some(StatusFilter::Ended), TreeNode::Held(held)) => held.has_ended(),
            (Some(StatusFilter::Dead), TreeNode::Held(held)) => {
                matches!(held, Entry::Ended { ended, again: None } if ended.is_dead())
            }
            (Some(StatusFilter::Dead), TreeNode::Kept(past)) => past.again.is_none() && past.ended.is_dead(),
            (Some(StatusFilter::Waiting | StatusFilter::Running), TreeNode::Kept(_))
            | (Some(_), TreeNode::Gap) => false,
        };
        let passes = |one: &TreeNode<'_>| {
            let Some(invocation) = one.invocation() else { return false };
            is_in_stage(one)
                && filter.before.is_none_or(|before| invocation.cid < before)
                && filter.service.as_deref().is_none_or(|service| service == &*invocation.service)
        };
        let held = self.held.all_held().map(TreeNode::Held);
        let kept = self.store.all_kept().map(TreeNode::Kept);
        let mut all: Vec<_> = held.chain(kept).filter(passes).collect();
        // CIDs are minted in order, and those that callers bring are few.
        let newest_first = |one: &TreeNode<'_>| std::cmp::Reverse(one.invocation().map(|one| one.cid));
        if filter.limit < all.len() {
            all.select_nth_unstable_by_key(filter.limit, newest_first);
            all.truncate(filter.limit);
        }
        all.sort_unstable_by_key(newest_first);
        let found = |one| match one {
            TreeNode::Held(held) => Some(self.found(held)),
            TreeNode::Kept(past) => Some(self.found_past(past)),
            TreeNode::Gap => None,
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
            TreeNode::Held(held) => held.invocation().root,
            TreeNode::Kept(past) => past.ended.invocation.root,
            TreeNode::Gap => return Vec::new(),
        };
        let mut open = Vec::new();
        self.walk(cid, root, false, |below| match below {
            TreeNode::Held(held) if !held.has_ended() => open.push(held.invocation().cid),
            _ => {}
        });
        open
    }
}
