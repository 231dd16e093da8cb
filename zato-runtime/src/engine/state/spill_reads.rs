//! Pages that are read back from disk, and a log of what changed during a read.

use std::collections::VecDeque;
use std::time::SystemTime;

use zato_core::{Cid, ServiceName};

use super::place::Ticket;
use super::store::Pending;
use crate::base::cid::CidMap;

/// What has happened to what was held while something is being read, which does not show it.
#[derive(Debug, Default)]
pub(in crate::engine) struct ReadRaceLog {
    /// How many are reading.
    readers: usize,
    /// What is held no longer, and since when: it has ended, or stands in the file otherwise than it was read.
    pub(super) gone: CidMap<u64>,
}

impl ReadRaceLog {
    /// Whether somebody reads.
    pub(in crate::engine) fn is_kept(&self) -> bool {
        self.readers > 0
    }

    /// Somebody begins to read.
    pub(in crate::engine) fn keep(&mut self) {
        self.readers += 1;
    }

    /// Whether one has gone since somebody began to read, who may have read it as it stood before.
    pub(super) fn has_gone(&self, cid: Cid, since: u64) -> bool {
        self.gone.get(&cid).is_some_and(|gone| *gone > since)
    }

    /// Somebody has read.
    pub(super) fn drop(&mut self) {
        self.readers -= 1;
        if self.readers == 0 {
            self.gone = CidMap::default();
        }
    }
}

/// What was read of what waits for a service.
#[derive(Debug, Default)]
pub(in crate::engine) struct SpillPage {
    /// The first that are due, in the order in which they start.
    pub(in crate::engine) first: Vec<Pending>,
    /// Whether no more are.
    pub(in crate::engine) is_all: bool,
    /// When the next is.
    pub(in crate::engine) next_due: Option<SystemTime>,
    /// The number at which the reading began.
    pub(in crate::engine) since: u64,
}

/// What was read of what is to be ended.
#[derive(Debug, Default)]
pub(in crate::engine) struct ExpiryPage {
    /// The first, in their order.
    pub(in crate::engine) first: Vec<Pending>,
    /// The time and the accept number of the last, where that was not all whose time has come.
    pub(in crate::engine) last: Option<(SystemTime, u64)>,
    /// When the next is to be ended.
    pub(in crate::engine) next: Option<SystemTime>,
    /// The number at which the reading began.
    pub(in crate::engine) since: u64,
}

/// What is to be read of what is written down alone. [`ReadRaceLog`] are kept until it has been.
#[derive(Debug)]
pub(in crate::engine) enum ReadRequest {
    /// What waits for a service: what may start by `now`, the first `most`.
    Spill { service: u32, name: ServiceName, now: SystemTime, most: usize, since: u64 },
    /// What is to be ended by `until`, after that time and accept number.
    Expiries { until: SystemTime, after: Option<(SystemTime, u64)>, since: u64 },
    /// Nothing, but some time later it is to be looked again who has a key.
    Lanes,
}

/// What is to be let go of, in the order in which it is written.
#[derive(Debug, Default)]
pub(in crate::engine) struct Evictions(pub(super) VecDeque<(u64, Ticket)>);
