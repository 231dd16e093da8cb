//! What can be asked of the memory engine's state.

use std::collections::HashMap;

use tokio::sync::oneshot;
use zato_core::{Cid, Outcome};

use super::held::Held;
use super::state::State;
use crate::record::{AttemptId, Found};

impl State {
    pub(super) fn is_running(&self, id: AttemptId) -> bool {
        matches!(
            self.held.get(&id.cid),
            Some(Held::Delivered { attempt, runs: true, .. }) if *attempt == id.number
        )
    }

    /// The outcome, or who will be told of it; `None` if the invocation is not held.
    pub(super) fn outcome(&mut self, cid: Cid) -> Option<Result<Outcome, oneshot::Receiver<Outcome>>> {
        match self.held.get(&cid)? {
            Held::Ended(ended) => Some(Ok(ended.outcome.clone())),
            Held::Waiting { .. } | Held::Delivered { .. } | Held::Open(_) => {
                let (tell, told) = oneshot::channel();
                let waiters = self.tell.entry(cid).or_default();
                if waiters.len() == waiters.capacity() {
                    // Before it grows: whoever gave up waiting is not kept.
                    waiters.retain(|waiter| !waiter.is_closed());
                }
                waiters.push(tell);
                Some(Err(told))
            }
        }
    }

    pub(super) fn find(&self, cid: Cid) -> Option<Found> {
        Some(match self.held.get(&cid)? {
            Held::Waiting { invocation, .. } => Found::Waiting(invocation.clone()),
            Held::Delivered { invocation, attempt, .. } => Found::Running(invocation.clone(), *attempt),
            Held::Open(invocation) => {
                Found::Open(invocation.clone(), self.groups.left(cid).unwrap_or_default())
            }
            Held::Ended(ended) => Found::Ended(ended.clone()),
        })
    }

    /// Everything of the tree below an invocation that has not ended.
    pub(super) fn below(&self, cid: Cid) -> Vec<Cid> {
        let Some(root) = self.held.get(&cid).map(|held| held.invocation().root) else { return Vec::new() };
        let mut children: HashMap<Cid, Vec<Cid>> = HashMap::new();
        for invocation in self.held.values().map(Held::invocation) {
            // A member of a group is below its group.
            let hidden = || self.hidden.get(&invocation.cid).copied();
            let above = invocation.slot.map(|slot| slot.group).or_else(hidden).or(invocation.parent);
            if let Some(above) = above.filter(|_| invocation.root == root) {
                children.entry(above).or_default().push(invocation.cid);
            }
        }
        let (mut below, mut next) = (Vec::new(), vec![cid]);
        while let Some(parent) = next.pop() {
            for child in children.remove(&parent).unwrap_or_default() {
                next.push(child);
                if !matches!(self.held.get(&child), Some(Held::Ended(_)) | None) {
                    below.push(child);
                }
            }
        }
        below
    }
}
