//! The changes of one transaction, and what is done once they are on disk.

use super::rows::change::Change;
use crate::record::Delivery;

/// What comes while so many changes are made goes with them, and does not wait for another sync.
const MANY: usize = 1_024;

/// What is done when all that was changed before is on disk, or, without anything to hand out, never will be.
pub(super) type OnWritten = Box<dyn FnOnce(Option<&mut Granted>) + Send>;

/// What is on disk and is handed out.
#[derive(Default)]
pub(super) struct Granted {
    pub(super) all: Vec<Delivery>,
    /// How many of them were started before a worker waited for them.
    pub(super) started: usize,
}

/// Changes that are written in one transaction.
#[derive(Default)]
pub(super) struct WriteBatch {
    pub(super) changes: Vec<Change>,
    /// What is to be done then.
    pub(super) afters: Vec<OnWritten>,
    /// How many changes there have been in all with these.
    pub(super) count: u64,
    /// The last accept number that was given by then.
    pub(super) number: u64,
}

impl WriteBatch {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.afters.is_empty()
    }

    /// Whether no more is to be added.
    pub(super) fn is_large(&self) -> bool {
        self.changes.len() >= MANY
    }
}
