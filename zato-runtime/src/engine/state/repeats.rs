//! What earlier attempts of an invocation have called, so that a handler that is run again does not repeat itself.

use std::collections::HashMap;

use zato_core::Cid;

use crate::record::AttemptId;

/// The calls of the attempts of what may be run again, by invocation; forgotten when it ends.
#[derive(Debug, Default)]
pub(in crate::engine) struct Repeats {
    calls: HashMap<Cid, ByDigest>,
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
    pub(in crate::engine) fn find(
        &mut self,
        by: AttemptId,
        digest: u128,
        stands: impl Fn(Cid) -> bool,
    ) -> Option<Cid> {
        if by.number == 1 {
            return None;
        }
        let made = self.calls.get_mut(&by.cid)?.get_mut(&digest)?;
        let same = made.iter_mut().find(|made| made.attempt < by.number && stands(made.child))?;
        same.attempt = by.number;
        Some(same.child)
    }

    /// Notes a call.
    pub(in crate::engine) fn note(&mut self, by: AttemptId, digest: u128, child: Cid) {
        let made = self.calls.entry(by.cid).or_default().entry(digest).or_default();
        made.push(Made { child, attempt: by.number });
    }

    /// The invocation has ended.
    pub(in crate::engine) fn forget(&mut self, cid: Cid) {
        if !self.calls.is_empty() {
            self.calls.remove(&cid);
        }
    }
}
