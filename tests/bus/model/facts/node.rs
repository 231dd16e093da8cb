//! What is known of one CID, of one call, of one cancel.

use std::sync::Arc;
use std::time::SystemTime;

use zato_core::Payload;
use zato_runtime::{Cancellation, Cid, Outcome};

use crate::model::log::{How, Record};
use crate::model::script::{Call, Chain, End, Group};

/// Milliseconds that times may be apart: timers go by the millisecond, and deadlines by the time of day.
pub(crate) const SLOP: u64 = 20;
/// How long a handler has that is asked to stop.
pub(crate) const GRACE: u64 = 5_000;

pub(crate) type Checked<T = ()> = Result<T, String>;

pub(crate) fn must(holds: bool, fault: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(fault()) }
}

pub(crate) fn near(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= SLOP
}

/// When something happened: its place in the log, and its time.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct When {
    pub(crate) seq: usize,
    pub(crate) at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Async,
    Sync,
    Member,
    Group,
    Chain,
    Step,
    Callback,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) began: When,
    /// When it learnt that it was to stop, itself or what it called synchronously.
    pub(crate) told: Option<When>,
    pub(crate) left: Option<(When, Option<End>)>,
}

/// A shutdown that was followed by another start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Restart {
    pub(crate) began: When,
    pub(crate) limit: u64,
    /// When the shutdown had ended, and when the bus was started again.
    pub(crate) stopped: When,
    pub(crate) up: When,
}

impl Restart {
    /// Whether it waited no longer for what ran.
    pub(crate) fn has_cut(&self) -> bool {
        self.stopped.at >= self.began.at.saturating_add(self.limit)
    }
}

/// All that is known of one CID.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) cid: Cid,
    pub(crate) token: u64,
    pub(crate) service: String,
    pub(crate) parent: Option<Cid>,
    pub(crate) root: Cid,
    pub(crate) caller: Option<String>,
    /// What it is below of, for a cancel with the tree.
    pub(crate) above: Option<Cid>,
    pub(crate) made: When,
    pub(crate) due: u64,
    pub(crate) expires: Option<u64>,
    pub(crate) deadline: Option<u64>,
    pub(crate) timeout: Option<u64>,
    pub(crate) attempts: u32,
    pub(crate) wait: u64,
    pub(crate) key: Option<usize>,
    pub(crate) is_unreadable: bool,
    pub(crate) callbacks: Vec<&'static str>,
    pub(crate) on_failure: Vec<&'static str>,
    pub(crate) members: Vec<u64>,
    /// Of a chain: the services that it runs through, and the steps of it that are known.
    pub(crate) services: Vec<&'static str>,
    pub(crate) steps: Vec<Cid>,
    pub(crate) runs: Vec<Attempt>,
    /// What it runs again, and what runs it again.
    pub(crate) again_of: Option<Cid>,
    pub(crate) again: Option<Cid>,
    /// When it was forgotten as a dead letter.
    pub(crate) discarded: Option<When>,
    pub(crate) ended: Vec<(When, Option<Outcome>)>,
    pub(crate) remembered: Option<Outcome>,
    /// What the bus tells who looks at it, when all is over.
    pub(crate) record: Option<Record>,
    /// What a callback received, or a step after the first.
    pub(crate) told: Option<Payload>,
}

impl World {
    /// A time of day, in milliseconds of the log.
    pub(crate) fn ms(&self, at: SystemTime) -> u64 {
        let after = at.duration_since(self.wall).unwrap_or_default();
        u64::try_from(after.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Node {
    /// Whether it could not read its request, and so ended without its handler.
    pub(crate) fn is_undecodable(&self) -> bool {
        matches!(self.remembered, Some(Outcome::Undecodable(_)))
    }

    /// Whether it is not run itself, and ends as what it is made of.
    pub(crate) fn is_many(&self) -> bool {
        matches!(self.kind, Kind::Group | Kind::Chain)
    }
}

#[derive(Debug)]
pub(crate) struct Cancel {
    pub(crate) when: When,
    pub(crate) cid: Cid,
    pub(crate) with_tree: bool,
    pub(crate) answer: Option<Result<Cancellation, String>>,
}

pub(crate) struct Asked {
    pub(crate) when: When,
    pub(crate) by: Option<Cid>,
    pub(crate) how: How,
    pub(crate) call: Arc<Call>,
}

pub(crate) struct AskedAll {
    pub(crate) by: Option<Cid>,
    pub(crate) members: Vec<u64>,
    pub(crate) group: Arc<Group>,
}

pub(crate) struct AskedChain {
    pub(crate) by: Option<Cid>,
    pub(crate) first: u64,
    pub(crate) chain: Arc<Chain>,
}

/// What the rules must know beside the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) wall: SystemTime,
    /// Whether places to run are few, so that what is due may wait.
    pub(crate) is_narrow: bool,
    /// Whether what is done takes a while: on its way to a disk, a cancel meets what ends or begins meanwhile.
    pub(crate) is_durable: bool,
    /// A rule that is wrong on purpose: so many attempts more than may be made.
    pub(crate) more_attempts: u32,
    /// A rule that is wrong on purpose: nothing waits for a key.
    pub(crate) ignores_keys: bool,
}
