//! What earlier attempts of an invocation have called, so that a handler that is run again does not repeat itself.

use std::collections::HashMap;

use zato_core::Cid;

use crate::record::AttemptId;

/// The calls of the attempts of what may be run again, by invocation; forgotten when it ends.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    calls: HashMap<Cid, ByDigest>,
    /// Whose attempts made a call, by its child.
    callers: HashMap<Cid, Cid>,
    /// Children that would have been swept if their callers had ended, by those.
    kept: HashMap<Cid, Vec<Cid>>,
}

type ByDigest = HashMap<u128, Vec<Made>, foldhash::fast::RandomState>;

/// A call that an attempt has made.
#[derive(Debug)]
struct Made {
    child: Cid,
    /// The last attempt that made it, or was given its child.
    attempt: u32,
}

impl Repeats {
    /// The child of an equal call that an earlier attempt made, and that this attempt has not been given yet: the
    /// n-th such call is given the n-th child. `stands` says whether a child is still what was asked for.
    pub(super) fn find(&mut self, by: AttemptId, digest: u128, stands: impl Fn(Cid) -> bool) -> Option<Cid> {
        if by.number == 1 {
            return None;
        }
        let made = self.calls.get_mut(&by.cid)?.get_mut(&digest)?;
        let same = made.iter_mut().find(|made| made.attempt < by.number && stands(made.child))?;
        same.attempt = by.number;
        Some(same.child)
    }

    /// Notes a call.
    pub(super) fn note(&mut self, by: AttemptId, digest: u128, child: Cid) {
        let made = self.calls.entry(by.cid).or_default().entry(digest).or_default();
        made.push(Made { child, attempt: by.number });
        self.callers.insert(child, by.cid);
    }

    /// Keeps a child that is to be swept, if its caller has not ended; answers whether it does.
    pub(super) fn keep(&mut self, child: Cid) -> bool {
        let Some(caller) = self.callers.get(&child) else { return false };
        self.kept.entry(*caller).or_default().push(child);
        true
    }

    /// The invocation has ended; answers with those of its children that were kept for it.
    pub(super) fn forget(&mut self, cid: Cid) -> Vec<Cid> {
        if self.calls.is_empty() {
            return Vec::new();
        }
        for made in self.calls.remove(&cid).into_iter().flat_map(ByDigest::into_values).flatten() {
            self.callers.remove(&made.child);
        }
        self.kept.remove(&cid).unwrap_or_default()
    }
}
