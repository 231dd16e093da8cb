//! What has ended and is kept in memory for a while.
//!
//! It is kept by value, in the order in which it ended: so it is written and read one after the other. Memory of its own
//! for each would be cold when it is given back, long after, and what is taken anew would be cold as well.

use std::sync::Arc;

use zato_core::{Cid, Invocation, Moment, Outcome, Payload};

use super::store::Past;
use super::table::Place;
use crate::record::{Ended, Progress, is_dead};

/// Under what one is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::engine) struct Number(u64);

/// That of dead letters.
const DEAD: u64 = 1 << 63;

impl Number {
    pub(in crate::engine) fn new(number: u64, is_dead: bool) -> Self {
        Self(if is_dead { number | DEAD } else { number })
    }

    pub(in crate::engine) fn get(self) -> u64 {
        self.0 & !DEAD
    }

    /// Whether it is a dead letter, or was one.
    pub(in crate::engine) fn is_dead(self) -> bool {
        self.0 & DEAD != 0
    }
}

/// One that is kept, the oldest for one.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Oldest {
    pub(in crate::engine) number: Number,
    pub(in crate::engine) place: Place,
    pub(in crate::engine) cid: Cid,
    /// How many bytes it holds.
    pub(in crate::engine) bytes: usize,
}

/// One that has ended.
#[derive(Debug)]
pub(in crate::engine) struct Kept {
    /// Where it stands in the table.
    pub(in crate::engine) place: Place,
    pub(in crate::engine) invocation: Arc<Invocation>,
    outcome: Outcome,
    attempts: u32,
    started_at: Option<Moment>,
    pub(in crate::engine) ended_at: Moment,
    before: Option<Arc<Progress>>,
    /// The invocation that runs it again.
    pub(in crate::engine) again: Option<Cid>,
    /// Whose attempt it was made in, where its parent is a synchronous call in that attempt.
    pub(in crate::engine) hidden_by: Option<Cid>,
}

impl Kept {
    #[inline]
    pub(in crate::engine) fn new(
        place: Place,
        ended: Ended,
        again: Option<Cid>,
        hidden_by: Option<Cid>,
    ) -> Self {
        let Ended { invocation, outcome, attempts, started_at, ended_at, before } = ended;
        Self { place, invocation, outcome, attempts, started_at, ended_at, before, again, hidden_by }
    }

    /// As it is shown.
    pub(in crate::engine) fn past(&self) -> Past {
        let Self { attempts, started_at, ended_at, again, hidden_by, .. } = *self;
        let (invocation, outcome) = (self.invocation.clone(), self.outcome.clone());
        let before = self.before.clone();
        let ended = Arc::new(Ended { invocation, outcome, attempts, started_at, ended_at, before });
        Past { ended, again, hidden_by }
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
