//! An invocation as the memory engine holds it.

use std::sync::Arc;
use std::time::SystemTime;

use zato_core::Invocation;

use crate::record::{Ended, Lease};

/// An invocation and where it stands.
#[derive(Debug)]
pub(super) enum Held {
    Waiting {
        invocation: Arc<Invocation>,
        number: u64,
        progress: Option<Box<Progress>>,
    },
    /// Delivered, to be run or to be ended.
    Delivered {
        invocation: Arc<Invocation>,
        lease: Lease,
        attempt: u32,
        failed: u32,
        runs: bool,
        cancel: Cancel,
    },
    /// A group with members that have not ended.
    Open(Arc<Invocation>),
    Ended(Arc<Ended>),
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

/// What became of the attempts before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) attempts: u32,
    pub(super) failed: u32,
    pub(super) last_started_at: Option<SystemTime>,
}

impl Held {
    pub(super) fn invocation(&self) -> &Arc<Invocation> {
        match self {
            Self::Waiting { invocation, .. }
            | Self::Delivered { invocation, .. }
            | Self::Open(invocation) => invocation,
            Self::Ended(ended) => &ended.invocation,
        }
    }
}
