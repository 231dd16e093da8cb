//! Work that is left until the lock of the state is released.

use tokio::sync::oneshot;
use zato_core::Outcome;

use super::entry::Entry;
use super::store::EndedRecord;

/// What is done once the lock is released: freeing memory takes longer than all else, and waking somebody runs
/// code that is not ours.
#[derive(Debug, Default)]
#[must_use = "waiters are told when it is finished"]
pub(in crate::engine) struct Deferred {
    pub(super) forgotten: Vec<Entry>,
    pub(super) kept: Vec<EndedRecord>,
    pub(super) told: Vec<(oneshot::Sender<Outcome>, Outcome)>,
}

impl Deferred {
    /// Tells who waits, and frees what is no longer remembered.
    pub(in crate::engine) fn finish(self) {
        for (waiter, outcome) in self.told {
            // Who no longer listens needs no answer.
            let _ = waiter.send(outcome);
        }
    }
}
