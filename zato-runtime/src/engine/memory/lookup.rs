//! What can be asked of the memory engine's state.

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
                self.tell.entry(cid).or_default().push(tell);
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
}
