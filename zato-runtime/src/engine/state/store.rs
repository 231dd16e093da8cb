//! What a state tells of every change, in the step that makes it, and asks of what has ended.

use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;
use zato_core::{Cid, Invocation, ServiceName};

use crate::engine::contract::Refused;
use crate::record::{AttemptId, Ended, Key, Progress};

/// Where the changes of a state go. The memory engine's goes nowhere and costs nothing; a durable engine's writes them
/// down, and they count when it has.
pub(in crate::engine) trait Store {
    /// An invocation waits from now on, or a group is open. `hidden_by` is whose attempt it was made in, where its
    /// parent is a synchronous call in that attempt.
    fn accepted(
        &mut self,
        _number: u64,
        _invocation: &Arc<Invocation>,
        _is_group: bool,
        _hidden_by: Option<Cid>,
    ) {
    }

    /// An attempt has been started.
    fn started(&mut self, _id: AttemptId, _at: SystemTime) {}

    /// An attempt is over, and another is to be made.
    fn again(&mut self, _cid: Cid, _before: &Progress) {}

    /// What runs, or a group, is to end.
    fn cancelled(&mut self, _cid: Cid, _with_tree: bool) {}

    /// One that was held has ended.
    fn ended(&mut self, ended: &Arc<Ended>) -> Remember;

    /// A synchronous call has ended inside an attempt that is being settled.
    fn ended_inside(&mut self, ended: &Arc<Ended>, _number: u64) -> Remember {
        self.ended(ended)
    }

    /// One that has ended, where the state does not remember it.
    fn past(&self, _cid: Cid) -> Option<Past> {
        None
    }

    /// A dead letter is run again.
    fn run_again(&mut self, _first: Cid, _again: Cid) {}

    /// A dead letter is forgotten.
    fn discarded(&mut self, _ended: &Ended) {}

    /// A service is paused, or resumed.
    fn paused(&mut self, _service: &ServiceName, _paused: bool) {}

    /// An attempt of what may be run again has made a call, or was given the child of an equal one.
    fn called(&mut self, _by: AttemptId, _digest: u128, _child: Cid) {}

    /// The CID that an idempotency key stands for.
    ///
    /// # Errors
    ///
    /// [`Refused::KeyConflict`] if it was another call.
    fn key(&mut self, service: &ServiceName, key: &Key) -> Result<Option<Cid>, Refused>;

    /// An idempotency key stands for this CID from now on.
    fn note_key(&mut self, service: &ServiceName, key: Key, cid: Cid);
}

/// Who remembers what has ended.
#[derive(Debug)]
pub(in crate::engine) enum Remember {
    /// The state does, and forgets these.
    Here(SmallVec<[Cid; 2]>),
    /// The store does.
    #[expect(dead_code, reason = "for engines that keep what has ended on disk")]
    There,
}

/// An invocation that has ended.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Past {
    pub(in crate::engine) ended: Arc<Ended>,
    /// The invocation that runs it again.
    pub(in crate::engine) again: Option<Cid>,
}
