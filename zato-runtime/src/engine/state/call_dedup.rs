//! The calls of earlier attempts of an invocation, so that a retry does not repeat them.

use std::collections::HashMap;

use zato_core::Cid;

use crate::base::cid::CidMap;
use crate::engine::contract::StoreFault;
use crate::record::AttemptId;

/// The calls of the attempts of what may be run again, by invocation; forgotten when it ends.
#[derive(Debug, Default)]
pub(in crate::engine) struct CallDedup {
    calls: CidMap<Calls>,
}

/// What the attempts of one invocation have called.
#[derive(Debug, Default)]
struct Calls {
    by_digest: HashMap<u128, Vec<Made>, foldhash::fast::RandomState>,
    /// The attempt for which they were read from where they are written down.
    learnt_for: u32,
}

/// A call that an attempt has made.
#[derive(Debug)]
struct Made {
    child: Cid,
    /// The last attempt that made it, or was given its child.
    attempt: u32,
}

impl CallDedup {
    /// The child of an equal call that an earlier attempt made, and that this attempt has not been given yet: the
    /// n-th such call is given the n-th child. `stands` says whether a child is still what was asked for.
    pub(in crate::engine) fn find(
        &mut self,
        by: AttemptId,
        digest: u128,
        stands: impl Fn(Cid) -> Result<bool, StoreFault>,
    ) -> Result<Option<Cid>, StoreFault> {
        if by.number == 1 {
            return Ok(None);
        }
        let made = self.calls.get_mut(&by.cid).and_then(|calls| calls.by_digest.get_mut(&digest));
        for made in made.into_iter().flatten() {
            if made.attempt < by.number && stands(made.child)? {
                made.attempt = by.number;
                return Ok(Some(made.child));
            }
        }
        Ok(None)
    }

    /// Whether what earlier attempts have called is to be read, where it is written down.
    pub(in crate::engine) fn must_learn(&self, by: AttemptId) -> bool {
        by.number > 1 && self.calls.get(&by.cid).is_none_or(|calls| calls.learnt_for < by.number)
    }

    /// Those are the calls of earlier attempts, in order.
    pub(in crate::engine) fn learn(&mut self, by: AttemptId, calls: Vec<(u128, Cid)>) {
        let mut learnt = Calls { learnt_for: by.number, ..Calls::default() };
        for (digest, child) in calls {
            learnt.by_digest.entry(digest).or_default().push(Made { child, attempt: 0 });
        }
        self.calls.insert(by.cid, learnt);
    }

    /// Notes a call.
    pub(in crate::engine) fn note(&mut self, by: AttemptId, digest: u128, child: Cid) {
        let made = self.calls.entry(by.cid).or_default().by_digest.entry(digest).or_default();
        made.push(Made { child, attempt: by.number });
    }

    /// The invocation has ended.
    pub(in crate::engine) fn forget(&mut self, cid: Cid) {
        if !self.calls.is_empty() {
            self.calls.remove(&cid);
        }
    }
}
