//! The filter and the results of a look-up: invocations with their status.

use std::sync::Arc;
use std::time::SystemTime;

use zato_core::{Cid, Invocation, Outcome, Rate};

use super::{Ended, Progress};

/// An invocation with its status.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InvocationInfo {
    /// The invocation.
    pub invocation: Arc<Invocation>,
    /// The number of attempts that have started.
    pub attempts: u32,
    /// The results of attempts that ended and were not the last; `None` if there were none.
    pub before: Option<Arc<Progress>>,
    /// The status.
    pub status: Status,
    /// `true` while the handler of an ended attempt still runs, because it blocks its thread.
    pub overruns: bool,
}

impl InvocationInfo {
    /// An invocation and its status.
    pub fn new(
        invocation: Arc<Invocation>,
        attempts: u32,
        before: Option<Arc<Progress>>,
        status: Status,
    ) -> Self {
        Self { invocation, attempts, before, status, overruns: false }
    }

    /// An invocation that has ended, and the one that runs it again.
    pub(crate) fn ended(ended: Arc<Ended>, again: Option<Cid>) -> Self {
        let (invocation, before) = (ended.invocation.clone(), ended.before.clone());
        Self::new(invocation, ended.attempts, before, Status::Ended { ended, again })
    }

    /// The CID.
    pub fn cid(&self) -> Cid {
        self.invocation.cid
    }

    /// The name of the target service.
    pub fn service(&self) -> &str {
        &self.invocation.service
    }

    /// The number of attempts that count against `max_attempts`, one that runs included. Attempts that a shutdown or
    /// the death of a process interrupted do not count.
    pub fn counted_attempts(&self) -> u32 {
        let (before, failed) = self.before.as_ref().map_or((0, 0), |before| (before.attempts, before.failed));
        match &self.status {
            Status::Running { .. } => failed + 1,
            Status::Ended { ended, .. } => failed + u32::from(ended.attempts > before),
            Status::Waiting(_) | Status::Open(_) => failed,
        }
    }

    /// The number of attempts that a shutdown or the death of a process interrupted; they do not count.
    pub fn interrupted_attempts(&self) -> u32 {
        self.attempts.saturating_sub(self.counted_attempts())
    }

    /// Returns the outcome; `None` if the invocation has not ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.status {
            Status::Ended { ended, .. } => Some(&ended.outcome),
            _ => None,
        }
    }

    /// Returns `true` for a dead letter: an invocation that ended in anything but `Completed` and was not run again. A
    /// synchronous call is not a dead letter, because its caller receives the outcome; a step of a chain is not one, because
    /// its chain is.
    pub fn is_dead(&self) -> bool {
        match &self.status {
            Status::Ended { ended, again } => ended.is_dead() && again.is_none(),
            _ => false,
        }
    }
}

/// The part of a causal tree that the engine holds.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The invocations, in the order in which they were called.
    pub found: Vec<InvocationInfo>,
    /// The number of invocations that are known to have been part of it and are no longer held.
    pub swept: usize,
}

/// The numbers of invocations that are held and have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Waiting invocations.
    pub waiting: usize,
    /// Running invocations, and those that were running when their process died.
    pub running: usize,
    /// Groups whose members have not all ended.
    pub open: usize,
}

/// The status of an invocation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Status {
    /// Waiting, for this reason.
    Waiting(WaitReason),
    /// Running: an attempt has started.
    Running {
        /// The time at which the attempt started.
        since: SystemTime,
        /// `true` if it has been cancelled.
        is_cancelled: bool,
    },
    /// A group, with the number of its members that have not ended.
    Open(u32),
    /// Ended.
    Ended {
        /// The end: outcome, times and attempts.
        ended: Arc<Ended>,
        /// The invocation that runs it again, if it was a dead letter that was run again.
        again: Option<Cid>,
    },
}

/// The reason why an invocation waits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// Its turn: other invocations are ahead of it in the queue.
    Turn,
    /// The time at which it, or its next attempt, is due.
    Until(SystemTime),
    /// The end of the invocation that holds its concurrency key.
    Key {
        /// The key.
        key: Box<str>,
        /// The invocation that holds it.
        held_by: Cid,
    },
    /// A slot: the `concurrency` of its service, which is this, is used up.
    Concurrency(u32),
    /// A slot: `max_running` of this process, which is this, is used up.
    Running(usize),
    /// The rate of its service, which is used up for now.
    Rate(Rate),
    /// Another invocation during which the process died: such invocations run one at a time.
    Suspects,
    /// The resumption of its service, which is paused.
    Resume,
    /// A process that hosts its service.
    Host,
    /// The handler of its last attempt, which has ended but still blocks its thread.
    Release,
    /// The next start of a process: a shutdown interrupted it.
    Restart,
    /// A worker that records its end.
    End,
}

/// A filter of invocations; by default all that the engine holds, 100 at most.
///
/// ```
/// use zato_runtime::Filter;
///
/// let filter = Filter::dead().service("orders.charge").limit(20);
/// assert_eq!(filter, Filter::dead().service("orders.charge").limit(20));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// The service whose invocations are listed; `None` for all services.
    pub service: Option<String>,
    /// Former names of the service, for a store that no process of the renamed service has opened yet.
    pub(crate) formerly: &'static [&'static str],
    /// The stage of the invocations that are listed; `None` for all stages.
    pub stage: Option<StatusFilter>,
    /// The invocation before whose call the listed ones were called; `None` for no such bound.
    pub before: Option<Cid>,
    /// The largest number of invocations that are listed.
    pub limit: usize,
}

/// The stage of an invocation, for a [`Filter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusFilter {
    /// Waiting.
    Waiting,
    /// Running, and groups whose members have not all ended.
    Running,
    /// Ended, with any outcome.
    Ended,
    /// Dead letters: ended in anything but `Completed`, and not run again.
    Dead,
}

impl Filter {
    /// Creates a filter of all invocations that are held, newest first, 100 at most.
    pub fn new() -> Self {
        Self { service: None, formerly: &[], stage: None, before: None, limit: 100 }
    }

    /// Creates a filter of dead letters: invocations that ended in anything but `Completed` and were not run again.
    pub fn dead() -> Self {
        Self::new().stage(StatusFilter::Dead)
    }

    /// Limits the list to invocations of this service.
    #[must_use]
    pub fn service(self, name: impl Into<String>) -> Self {
        Self { service: Some(name.into()), ..self }
    }

    /// Limits the list to invocations in this stage.
    #[must_use]
    pub fn stage(self, stage: StatusFilter) -> Self {
        Self { stage: Some(stage), ..self }
    }

    /// Limits the list to invocations that were called before this one. The last of one page gives the next page.
    #[must_use]
    pub fn before(self, cid: Cid) -> Self {
        Self { before: Some(cid), ..self }
    }

    /// Limits the number of invocations in the list.
    #[must_use]
    pub fn limit(self, most: usize) -> Self {
        Self { limit: most, ..self }
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}

/// The result of discarding a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardAnswer {
    /// The dead letter was deleted.
    Discarded,
    /// The engine does not hold such an invocation.
    NotHeld,
    /// The invocation is not a dead letter.
    NotDead,
}
