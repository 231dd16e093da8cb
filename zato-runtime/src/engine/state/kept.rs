//! What has ended and is kept in memory for a while.
//!
//! It is kept by value, in the order in which it ended: so it is written and read one after the other. Memory of its own
//! for each would be cold when it is given back, long after, and what is taken anew would be cold as well.

use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;
use zato_core::{Cid, Invocation, Outcome, Payload};

use super::store::Past;
use crate::record::{Ended, Progress, is_dead};

/// One that has ended, with what is below it.
#[derive(Debug)]
pub(in crate::engine) struct Kept {
    pub(in crate::engine) invocation: Invocation,
    outcome: Outcome,
    attempts: u32,
    started_at: Option<SystemTime>,
    pub(in crate::engine) ended_at: SystemTime,
    before: Option<Arc<Progress>>,
    /// The invocation that runs it again.
    pub(in crate::engine) again: Option<Cid>,
    /// Whose attempt it was made in, where its parent is a synchronous call in that attempt.
    pub(in crate::engine) hidden_by: Option<Cid>,
    pub(in crate::engine) children: SmallVec<[Cid; 1]>,
}

impl Kept {
    #[inline]
    pub(in crate::engine) fn new(
        ended: Ended,
        again: Option<Cid>,
        hidden_by: Option<Cid>,
        children: SmallVec<[Cid; 1]>,
    ) -> Self {
        let Ended { invocation, outcome, attempts, started_at, ended_at, before } = ended;
        let invocation = Arc::unwrap_or_clone(invocation);
        Self { invocation, outcome, attempts, started_at, ended_at, before, again, hidden_by, children }
    }

    /// As it is shown.
    pub(in crate::engine) fn past(&self) -> Past {
        let Self { attempts, started_at, ended_at, again, hidden_by, .. } = *self;
        let (invocation, outcome) = (Arc::new(self.invocation.clone()), self.outcome.clone());
        let before = self.before.clone();
        let ended = Arc::new(Ended { invocation, outcome, attempts, started_at, ended_at, before });
        Past { ended, again, hidden_by }
    }

    /// As it was.
    pub(in crate::engine) fn into_past(self) -> (Past, SmallVec<[Cid; 1]>) {
        let Self { invocation, outcome, attempts, started_at, ended_at, before, again, hidden_by, children } =
            self;
        let invocation = Arc::new(invocation);
        let ended = Arc::new(Ended { invocation, outcome, attempts, started_at, ended_at, before });
        (Past { ended, again, hidden_by }, children)
    }

    /// Whether it is a dead letter, also one that has been run again.
    pub(in crate::engine) fn is_dead(&self) -> bool {
        is_dead(&self.invocation, &self.outcome)
    }

    /// How many bytes it holds: its request, and its response or error.
    pub(in crate::engine) fn bytes(&self) -> usize {
        let result =
            self.outcome.payload().map_or(0, Payload::len) + self.outcome.error().map_or(0, str::len);
        self.invocation.payload.len() + result
    }
}
