//! The trait of the store behind the state: it hears of every change, and is asked for what the state does not hold.

use std::sync::Arc;
use std::time::SystemTime;

use zato_core::{Cid, Invocation, Moment, ServiceName};

use super::place::{KeptId, Oldest, Place};
use crate::engine::contract::{Refused, StoreFault};
use crate::record::{AttemptId, Ended, Key, Progress};

/// One that has not ended, as it was written down.
#[derive(Debug)]
pub(in crate::engine) struct Pending {
    /// Its accept number.
    pub(in crate::engine) number: u64,
    pub(in crate::engine) invocation: Arc<Invocation>,
    pub(in crate::engine) before: Option<Arc<Progress>>,
    /// The attempt that ran when the process died, and when it had started.
    pub(in crate::engine) ran: Option<(u32, SystemTime)>,
    /// Whether a shutdown had begun by then: that it died is no loss.
    pub(in crate::engine) was_draining: bool,
    /// How many deaths of its process end it as `Lost`; none where that was not known when it was accepted.
    pub(in crate::engine) max_losses: Option<u32>,
    pub(in crate::engine) is_cancelled: bool,
    /// Whether another has its concurrency key.
    pub(in crate::engine) is_behind: bool,
    /// Whose attempt it was made in, where its parent is a synchronous call.
    pub(in crate::engine) hidden_by: Option<Cid>,
}

/// Where the changes of a state go. The memory engine's goes nowhere and costs nothing; a durable engine's writes them
/// down, and they count when it has. What is not held by the state is then exactly as it is written down.
pub(in crate::engine) trait Store {
    /// Whether all is written down: it can then tell what an invocation has below it, and what waits need not be held.
    /// Else the state keeps track of that itself.
    const WRITES_DOWN: bool;

    /// An invocation waits from now on, or a group is open.
    fn accepted(&mut self, _accepted: Accepted<'_>) {}

    /// Whether an invocation is held in memory alone until it has ended, and is recorded then: see
    /// [`is_recorded_at_end`](crate::record::is_recorded_at_end). Always `false` where nothing is written down.
    fn is_in_memory(&self, _invocation: &Invocation) -> bool {
        false
    }

    /// The CIDs of all such invocations, until their ends are written down.
    fn in_memory(&self) -> impl Iterator<Item = Cid> {
        std::iter::empty()
    }

    /// An attempt has been started.
    fn started(&mut self, _id: AttemptId, _at: Moment) {}

    /// A service that has a rate has started another invocation.
    fn last_started(&mut self, _service: &ServiceName, _at: Moment) {}

    /// A shutdown begins: the death of the process is no loss for what runs now.
    fn draining(&mut self) {}

    /// An attempt is over, and another is to be made; or one that was started has not been begun, and waits again.
    fn again(&mut self, _cid: Cid, _before: &Progress) {}

    /// What waited behind another that had its concurrency key has it now.
    fn has_key(&mut self, _cid: Cid) {}

    /// What runs, or a group, is to end.
    fn cancelled(&mut self, _cid: Cid, _with_tree: bool) {}

    /// One that was held has ended, and is to be written down.
    fn ended(&mut self, _ended: &Arc<Ended>) {}

    /// The same for a synchronous call, which has ended inside an attempt that is being settled.
    fn ended_inside(&mut self, _ended: &Arc<Ended>, _number: u64) {}

    /// One has ended, and is kept, where nothing is written down; answers under what.
    fn keep(&mut self, _place: Place, _ended: Ended, _again: Option<Cid>, _hidden_by: Option<Cid>) -> KeptId {
        KeptId::default()
    }

    /// Keeps one that has completed without an entry in the table, where nothing is written down; whoever looks has it
    /// [indexed](Self::index) first. Returns whether it did.
    fn keep_unindexed(&mut self, _ended: &Ended) -> bool {
        false
    }

    /// The first that is kept without an entry in the table, and what it is below.
    fn next_unindexed(&self) -> Option<(Cid, Option<Cid>)> {
        None
    }

    /// Gives that one its entry in the table; returns its number.
    fn index(&mut self, _place: Place) -> Option<KeptId> {
        None
    }

    /// Forgets the oldest that is kept, if it has no entry in the table and more are kept than should be. Returns whether
    /// it did.
    fn forget_unindexed(&mut self) -> bool {
        false
    }

    /// How many are kept at the most, dead letters apart.
    fn most_kept(&self) -> usize {
        usize::MAX
    }

    /// The oldest that is kept, as long as more are than should be.
    fn surplus(&mut self) -> Option<Oldest> {
        None
    }

    /// One that is kept.
    fn kept(&self, _number: KeptId) -> Option<EndedRecord> {
        None
    }

    /// The same, to be changed.
    fn kept_mut(&mut self, _number: KeptId) -> Option<&mut EndedRecord> {
        None
    }

    /// Everything that is kept.
    fn all_kept(&self) -> impl Iterator<Item = EndedRecord> {
        std::iter::empty()
    }

    /// One is kept no longer; it is freed by who has it then.
    fn take_kept(&mut self, _number: KeptId) -> Option<EndedRecord> {
        None
    }

    /// An invocation has ended.
    fn has_ended(&mut self, _cid: Cid) {}

    /// Whether what has ended is kept as long as an idempotency key that leads to it.
    fn is_kept_for_its_key(&self, _cid: Cid) -> bool {
        false
    }

    /// Keeps one, which is to be forgotten, as long as the idempotency key that leads to it, if one does; answers under
    /// what.
    fn pin(&mut self, _number: KeptId) -> Option<KeptId> {
        None
    }

    /// One whose idempotency key has gone: it need not be kept for that any more.
    fn next_unpinned(&mut self) -> Option<Cid> {
        None
    }

    /// A record is discarded, and so is the idempotency key that leads to it.
    fn forget_key_of(&mut self, _cid: Cid) {}

    /// Has what is kept stand closer, where much has been forgotten between the oldest and the last; answers who stands
    /// under another number now.
    fn close_up(&mut self) -> impl Iterator<Item = (KeptId, Place)> {
        std::iter::empty()
    }

    /// One that has ended, where it is neither held nor kept.
    ///
    /// # Errors
    ///
    /// Here and below: what is written down cannot be read.
    fn past(&self, _cid: Cid) -> Result<Option<EndedRecord>, StoreFault> {
        Ok(None)
    }

    /// One that waits, where the state does not hold it.
    fn left(&self, _cid: Cid) -> Result<Option<Pending>, StoreFault> {
        Ok(None)
    }

    /// What waits in the lane of a key behind another, in accept order: the first `most` after this accept number, each with
    /// its own.
    fn lane(
        &self,
        _service: &ServiceName,
        _key: &str,
        _after: u64,
        _most: usize,
    ) -> Result<Vec<(u64, Pending)>, StoreFault> {
        Ok(Vec::new())
    }

    /// All that stands in the lane of a key and has not ended, likewise.
    fn lane_members(
        &self,
        _service: &ServiceName,
        _key: &str,
        _after: u64,
        _most: usize,
    ) -> Result<Vec<Member>, StoreFault> {
        Ok(Vec::new())
    }

    /// The calls that earlier attempts of an invocation have made, in order, with what makes each equal to another;
    /// `None` where the state has to remember them itself.
    fn calls(&self, _cid: Cid) -> Result<Option<Vec<(u128, Cid)>>, StoreFault> {
        Ok(None)
    }

    /// A dead letter that is held is run again.
    fn run_again(&mut self, _first: Cid, _again: Cid) {}

    /// A dead letter that is held, or written down, is forgotten.
    fn discarded(&mut self, _ended: &Ended) {}

    /// A service is paused, or resumed.
    fn paused(&mut self, _service: &ServiceName, _paused: bool) {}

    /// The CID that an idempotency key stands for.
    ///
    /// # Errors
    ///
    /// [`Refused::KeyConflict`] if it was another call.
    fn key(&mut self, service: &ServiceName, key: &Key) -> Result<Option<Cid>, Refused>;

    /// An idempotency key stands for this CID from now on.
    fn note_key(&mut self, service: &ServiceName, key: Key, cid: Cid);
}

/// What stands in the lane of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Member {
    /// Its accept number.
    pub(in crate::engine) number: u64,
    pub(in crate::engine) cid: Cid,
    /// Whether it is the one that has the key.
    pub(in crate::engine) has_key: bool,
}

/// What has been accepted, and where it stands.
#[derive(Debug)]
pub(in crate::engine) struct Accepted<'a> {
    /// Its accept number.
    pub(in crate::engine) number: u64,
    pub(in crate::engine) invocation: &'a Arc<Invocation>,
    pub(in crate::engine) is_group: bool,
    /// Whose attempt it was made in, where its parent is a synchronous call in that attempt.
    pub(in crate::engine) hidden_by: Option<Cid>,
    pub(in crate::engine) priority: i8,
    /// How many deaths of its process end it as `Lost`; none where no process that hosts its service has said.
    pub(in crate::engine) max_losses: Option<u32>,
    /// Whether another has its concurrency key.
    pub(in crate::engine) is_behind: bool,
}

/// An invocation that has ended.
#[derive(Debug, Clone)]
pub(in crate::engine) struct EndedRecord {
    pub(in crate::engine) ended: Arc<Ended>,
    /// The invocation that runs it again.
    pub(in crate::engine) again: Option<Cid>,
    /// Whose attempt it was made in, where its parent is a synchronous call in that attempt.
    pub(in crate::engine) hidden_by: Option<Cid>,
}
