//! An entry of the state: one invocation that waits, runs, or has ended.

use std::sync::Arc;

use zato_core::{Cid, Invocation, Moment};

use super::place::Ticket;
use crate::record::{Delivery, Ended, Lease, Progress, Task};

/// An invocation and where it stands.
#[derive(Debug)]
pub(in crate::engine) enum Entry {
    Waiting(Waiting),
    Delivered(Delivered),
    /// A group with members that have not ended.
    Open(Arc<Invocation>),
    Ended {
        ended: Arc<Ended>,
        /// The invocation that runs it again.
        again: Option<Cid>,
    },
}

#[derive(Debug)]
pub(in crate::engine) struct Waiting {
    pub(in crate::engine) invocation: Arc<Invocation>,
    pub(in crate::engine) before: Option<Arc<Progress>>,
    /// What it waits under; another one for each attempt.
    pub(in crate::engine) number: u64,
    /// The number of its service.
    pub(in crate::engine) service: u32,
    pub(in crate::engine) hold: BlockedBy,
}

/// Delivered, to be run or to be ended.
#[derive(Debug)]
pub(in crate::engine) struct Delivered {
    pub(in crate::engine) invocation: Arc<Invocation>,
    pub(in crate::engine) before: Option<Arc<Progress>>,
    /// That of its lease.
    pub(in crate::engine) number: u64,
    pub(in crate::engine) service: u32,
    pub(in crate::engine) started_at: Moment,
    pub(in crate::engine) runs: bool,
    /// Whether its start is recorded. Where a process has died during it that is so when its handler begins.
    pub(in crate::engine) has_begun: bool,
    pub(in crate::engine) cancel: Cancel,
}

/// What keeps an invocation from being started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum BlockedBy {
    /// It stands in its service's queue.
    Turn,
    /// It stands behind all that its service's queue holds, and need not be held itself.
    Beyond,
    /// A timer is set: until it is due, or until its next attempt is.
    Due,
    /// Another one has its key.
    Key,
    /// It is about to be ended without being run.
    Ending,
    /// Another one runs that may be what kills the process, as this may be.
    Suspect,
    /// Its last attempt lingers.
    Release,
    /// A shutdown interrupted it, or the one that has its key.
    Restart,
}

/// Whether what runs is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::engine) enum Cancel {
    #[default]
    No,
    Alone,
    /// And so is what it invokes.
    WithTree,
}

impl Delivered {
    /// The number of the attempt; where none is made, that of the last.
    pub(in crate::engine) fn attempt(&self) -> u32 {
        self.before.as_ref().map_or(0, |before| before.attempts) + u32::from(self.runs)
    }

    /// What was handed out under this lease.
    pub(in crate::engine) fn delivery(&self, lease: Lease) -> Delivery {
        Delivery {
            invocation: self.invocation.clone(),
            attempt: self.attempt(),
            before: self.before.clone(),
            started_at: self.started_at,
            lease,
            task: Task::Run,
        }
    }
}

impl Entry {
    pub(in crate::engine) fn invocation(&self) -> &Arc<Invocation> {
        match self {
            Self::Waiting(Waiting { invocation, .. })
            | Self::Delivered(Delivered { invocation, .. })
            | Self::Open(invocation) => invocation,
            Self::Ended { ended, .. } => &ended.invocation,
        }
    }

    /// Whether it has ended.
    pub(in crate::engine) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}

/// What a settled attempt still holds: a place of its service, and its key.
#[derive(Debug)]
pub(in crate::engine) struct Overrun {
    pub(super) service: u32,
    pub(super) invocation: Arc<Invocation>,
    /// The attempt that waits for it.
    pub(in crate::engine) next: Option<Ticket>,
    /// Whether the invocation has ended, so that its key is to be given on.
    pub(in crate::engine) has_ended: bool,
}

impl Overrun {
    pub(in crate::engine) fn new(service: u32, invocation: Arc<Invocation>) -> Self {
        Self { service, invocation, next: None, has_ended: false }
    }
}
