//! Synchronous calls from outside, which have no row before they end.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use zato_core::Cid;

use crate::base::cid::CidMap;
use crate::record::Key;

/// The synchronous calls from outside whose ends are not on disk.
#[derive(Debug, Default)]
pub(in crate::engine::sqlite) struct Unrecorded {
    calls: CidMap<Call>,
    callers: Arc<Callers>,
}

#[derive(Debug)]
struct Call {
    /// Its accept number, which its row has.
    number: u64,
    /// Its idempotency key, and when that was given. It is recorded with the call: a key that outlived its call would lead to
    /// nothing.
    key: Option<(Key, SystemTime)>,
    /// Whether something has a row that this call has made.
    is_caller: bool,
}

impl Unrecorded {
    pub(in crate::engine::sqlite) fn new(callers: Arc<Callers>) -> Self {
        Self { calls: CidMap::default(), callers }
    }

    /// One is accepted under this number.
    pub(in crate::engine::sqlite) fn insert(&mut self, cid: Cid, number: u64) {
        self.calls.insert(cid, Call { number, key: None, is_caller: false });
    }

    pub(in crate::engine::sqlite) fn has(&self, cid: &Cid) -> bool {
        self.calls.contains_key(cid)
    }

    /// All of them, each with its accept number.
    pub(in crate::engine::sqlite) fn all(&self) -> impl Iterator<Item = (Cid, u64)> {
        self.calls.iter().map(|(cid, call)| (*cid, call.number))
    }

    /// Something is recorded that these have made, if they are among them.
    pub(in crate::engine::sqlite) fn note_calls(&mut self, parent: Option<Cid>, hidden_by: Option<Cid>) {
        if self.calls.is_empty() {
            return;
        }
        for cid in [parent, hidden_by].into_iter().flatten() {
            if let Some(call) = self.calls.get_mut(&cid)
                && !std::mem::replace(&mut call.is_caller, true)
            {
                self.callers.lock().insert(cid);
            }
        }
    }

    /// Keeps an idempotency key until its call has ended; gives it back where it is the key of another invocation.
    pub(in crate::engine::sqlite) fn put_key(&mut self, cid: &Cid, key: Key, at: SystemTime) -> Option<Key> {
        match self.calls.get_mut(cid) {
            None => Some(key),
            Some(call) => {
                call.key = Some((key, at));
                None
            }
        }
    }

    /// The key that is kept.
    pub(in crate::engine::sqlite) fn key(&self, cid: &Cid) -> Option<&Key> {
        self.calls.get(cid)?.key.as_ref().map(|(key, _)| key)
    }

    /// One has ended: returns its number and its key.
    pub(in crate::engine::sqlite) fn has_ended(
        &mut self,
        cid: &Cid,
    ) -> Option<(u64, Option<(Key, SystemTime)>)> {
        let call = self.calls.get_mut(cid)?;
        Some((call.number, call.key.take()))
    }

    /// The end of an invocation is on disk.
    pub(in crate::engine::sqlite) fn remove(&mut self, cid: &Cid) {
        if self.calls.remove(cid).is_some_and(|call| call.is_caller) {
            self.callers.lock().remove(cid);
        }
    }
}

/// Those of them that have made what has a row: that is not swept before the call has ended. The state writes, and who
/// sweeps reads.
#[derive(Debug, Default)]
pub(in crate::engine::sqlite) struct Callers(Mutex<HashSet<Cid>>);

impl Callers {
    fn lock(&self) -> MutexGuard<'_, HashSet<Cid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of now.
    pub(in crate::engine::sqlite) fn now(&self) -> HashSet<Cid> {
        self.lock().clone()
    }
}
