//! What would be the same in any program: memory, locks, clocks, CIDs and texts for people. It knows no invocation.

pub(crate) mod cache_padded;
pub(crate) mod lock;
pub(crate) mod wall_clock;
pub(crate) mod clock;
pub(crate) mod format;
pub(crate) mod log_target;
pub(crate) mod cid;
