//! An invocation as the memory engine holds it.

use std::sync::Arc;
use std::time::SystemTime;

use zato_core::{Cid, Invocation};

use crate::record::{Ended, Lease, Progress};

/// An invocation and where it stands.
#[derive(Debug)]
pub(super) enum Held {
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
pub(super) struct Waiting {
    pub(super) invocation: Arc<Invocation>,
    pub(super) before: Option<Arc<Progress>>,
    /// What it waits under; another one for each attempt.
    pub(super) number: u64,
    /// The number of its service.
    pub(super) service: u32,
    pub(super) hold: Hold,
}

/// Delivered, to be run or to be ended.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) invocation: Arc<Invocation>,
    pub(super) before: Option<Arc<Progress>>,
    pub(super) lease: Lease,
    pub(super) service: u32,
    pub(super) attempt: u32,
    pub(super) started_at: SystemTime,
    pub(super) runs: bool,
    pub(super) cancel: Cancel,
}

/// What keeps an invocation from being started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// It stands in its service's queue.
    Turn,
    /// A timer is set.
    Until(SystemTime),
    /// Another one has its key.
    Key,
    /// Its last attempt lingers; when that is released, it may start at this time.
    Release(Option<SystemTime>),
    /// A shutdown interrupted it, or the one that has its key.
    Restart,
}

/// Whether what runs is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Cancel {
    #[default]
    No,
    Alone,
    /// And so is what it invokes.
    WithTree,
}

impl Held {
    pub(super) fn invocation(&self) -> &Arc<Invocation> {
        match self {
            Self::Waiting(Waiting { invocation, .. })
            | Self::Delivered(Delivered { invocation, .. })
            | Self::Open(invocation) => invocation,
            Self::Ended { ended, .. } => &ended.invocation,
        }
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// Whether it waits under this number.
    pub(super) fn waits_as(&self, number: u64) -> bool {
        matches!(self, Self::Waiting(waiting) if waiting.number == number)
    }
}
