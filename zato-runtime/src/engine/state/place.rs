//! How entries are referred to: places, tickets and numbers.

use zato_core::Cid;

use crate::record::Lease;

/// Where one stands, until it is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) struct Place(pub(super) u32);

/// The place of nothing.
pub(super) const NOWHERE: Place = Place(u32::MAX);

impl Place {
    /// The right to settle what is handed out from there.
    pub(in crate::engine) fn lease(self, number: u64) -> Lease {
        Lease { number, place: self.0 }
    }

    /// Where that stands which a lease is for.
    pub(in crate::engine) fn of(lease: Lease) -> Self {
        Self(lease.place)
    }
}

/// A place in a queue. It is void once the invocation no longer waits under this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) struct Ticket {
    pub(in crate::engine) number: u64,
    pub(in crate::engine) cid: Cid,
    /// Where it is held, if it is.
    pub(in crate::engine) place: Place,
}

/// Under what one is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::engine) struct KeptId(u64);

/// That of dead letters.
const DEAD: u64 = 1 << 63;

/// That of records that are kept for their idempotency keys.
const PINNED: u64 = 1 << 62;

impl KeptId {
    pub(in crate::engine) fn new(number: u64, is_dead: bool) -> Self {
        Self(if is_dead { number | DEAD } else { number })
    }

    pub(in crate::engine) fn pinned(number: u64) -> Self {
        Self(number | PINNED)
    }

    pub(in crate::engine) fn get(self) -> u64 {
        self.0 & !(DEAD | PINNED)
    }

    /// Whether it is kept for its idempotency key alone.
    pub(in crate::engine) fn is_pinned(self) -> bool {
        self.0 & PINNED != 0
    }

    /// Whether it is a dead letter, or was one.
    pub(in crate::engine) fn is_dead(self) -> bool {
        self.0 & DEAD != 0
    }
}

/// One that is kept, the oldest for one.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Oldest {
    pub(in crate::engine) number: KeptId,
    pub(in crate::engine) place: Place,
    pub(in crate::engine) cid: Cid,
    /// How many bytes it holds.
    pub(in crate::engine) bytes: usize,
}
