//! What a look-up asks for, and what it answers: invocations as they stand.

use std::sync::Arc;
use std::time::SystemTime;

use zato_core::{Cid, Invocation, Outcome, Rate};

use crate::record::{Ended, Progress};

/// An invocation as it stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found {
    /// The invocation.
    pub invocation: Arc<Invocation>,
    /// How many attempts have begun.
    pub attempts: u32,
    /// What became of those that are over and were not the last; none where there were none.
    pub before: Option<Arc<Progress>>,
    /// Where it stands.
    pub status: Status,
    /// Whether its last attempt is over while its handler still runs, because it blocks its thread.
    pub lingers: bool,
}

impl Found {
    /// An invocation and where it stands.
    pub fn new(
        invocation: Arc<Invocation>,
        attempts: u32,
        before: Option<Arc<Progress>>,
        status: Status,
    ) -> Self {
        Self { invocation, attempts, before, status, lingers: false }
    }

    /// One that has ended, and what runs it again.
    pub(crate) fn ended(ended: Arc<Ended>, again: Option<Cid>) -> Self {
        let (invocation, before) = (ended.invocation.clone(), ended.before.clone());
        Self::new(invocation, ended.attempts, before, Status::Ended { ended, again })
    }

    /// Its CID.
    pub fn cid(&self) -> Cid {
        self.invocation.cid
    }

    /// The name of its target.
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

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.status {
            Status::Ended { ended, .. } => Some(&ended.outcome),
            _ => None,
        }
    }

    /// Whether it is a dead letter: ended in anything but `Completed`, and not run again. What is called synchronously
    /// is none, since its caller is told, and a step of a chain is none, since the chain is.
    pub fn is_dead(&self) -> bool {
        match &self.status {
            Status::Ended { ended, again } => ended.is_dead() && again.is_none(),
            _ => false,
        }
    }
}

/// What is held of a causal tree.
#[derive(Debug, Clone)]
pub struct Tree {
    /// In the order in which they were called.
    pub found: Vec<Found>,
    /// How many are known to have been of it and are held no longer.
    pub swept: usize,
}

/// The numbers of invocations that are held and have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Those that wait.
    pub waiting: usize,
    /// Those that run, or did when their process died.
    pub running: usize,
    /// Groups whose members have not all ended.
    pub open: usize,
}

/// Where an invocation stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Status {
    /// It waits, for this.
    Waiting(Waits),
    /// An attempt of it runs.
    Running {
        /// When the attempt started.
        since: SystemTime,
        /// Whether it has been cancelled.
        is_cancelled: bool,
    },
    /// It is a group, and so many of its members have not ended.
    Open(u32),
    /// It has ended.
    Ended {
        /// How.
        ended: Arc<Ended>,
        /// The invocation that runs it again, if it was a dead letter and somebody had it run again.
        again: Option<Cid>,
    },
}

/// What an invocation waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waits {
    /// Its turn: nothing holds it up but what stands before it.
    Turn,
    /// A time: when it is due, or when its next attempt is.
    Until(SystemTime),
    /// The invocation that has its concurrency key.
    Key {
        /// The key.
        key: Box<str>,
        /// Who has it.
        held_by: Cid,
    },
    /// A place: as many of its service run as may.
    Concurrency(u32),
    /// A place: as many run in this process as may.
    Running(usize),
    /// Its service's rate.
    Rate(Rate),
    /// Another invocation during which the process died: they run one at a time.
    Suspects,
    /// That its service is resumed.
    Resume,
    /// A process that hosts its service.
    Host,
    /// That the handler of its last attempt, which is over, lets go of its thread.
    Release,
    /// The next process: a shutdown interrupted it.
    Restart,
    /// A worker that records its end.
    End,
}

/// Which invocations to look for; all that are held unless told.
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
    /// Of this service alone.
    pub service: Option<String>,
    /// Those that stand so alone.
    pub stage: Option<Stage>,
    /// Those that were called before this one alone: the last of one page makes the next.
    pub before: Option<Cid>,
    /// How many at the most.
    pub limit: usize,
}

/// What a [`Filter`] can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// What waits.
    Waiting,
    /// What runs, and groups whose members have not all ended.
    Running,
    /// What has ended.
    Ended,
    /// Dead letters.
    Dead,
}

impl Filter {
    /// All that are held, the newest first; 100 at the most.
    pub fn new() -> Self {
        Self { service: None, stage: None, before: None, limit: 100 }
    }

    /// Dead letters: what ended in anything but `Completed` and has not been run again.
    pub fn dead() -> Self {
        Self::new().stage(Stage::Dead)
    }

    /// Of this service alone.
    #[must_use]
    pub fn service(self, name: impl Into<String>) -> Self {
        Self { service: Some(name.into()), ..self }
    }

    /// Those that stand so alone.
    #[must_use]
    pub fn stage(self, stage: Stage) -> Self {
        Self { stage: Some(stage), ..self }
    }

    /// Those that were called before this one alone: the last of one page makes the next.
    #[must_use]
    pub fn before(self, cid: Cid) -> Self {
        Self { before: Some(cid), ..self }
    }

    /// How many at the most.
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

/// What discarding a dead letter came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardAnswer {
    /// It is held no longer.
    Discarded,
    /// It is not held.
    NotHeld,
    /// It is no dead letter.
    NotDead,
}
