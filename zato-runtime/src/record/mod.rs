//! The types that the bus and an engine exchange.

mod hash;
mod document;
mod digest;
pub(crate) mod group_rows;
pub(crate) mod lookup;

use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;
use tokio::sync::oneshot;
use zato_core::{Channel, Cid, Context, Invocation, Moment, Outcome, Payload, Rate, ServiceName};

pub(crate) use digest::described;
#[cfg(feature = "sqlite")]
pub(crate) use digest::is_described;
pub use digest::{VERSION as DIGEST_VERSION, digest};
pub use group_rows::{GroupRows, Member, MemberResult};
pub(crate) use hash::Algorithm;

/// Every verb of an engine takes a batch; a batch of one needs no allocation.
pub type Batch<T> = SmallVec<[T; 1]>;

/// An invocation on its way into an engine.
#[derive(Debug)]
pub struct Accept {
    /// What to run.
    pub invocation: Arc<Invocation>,
    /// The attempt whose handler asks; none for a call from outside.
    pub by: Option<AttemptId>,
    /// Told the outcome when it is recorded.
    pub tell: Option<oneshot::Sender<Outcome>>,
    /// Whether the caller brought the CID, which may then be held already.
    pub brings_cid: bool,
    /// The idempotency key, if it has one.
    pub key: Option<Key>,
    /// What makes the call equal to another of the same handler, if that handler may be run again: an equal call of
    /// an earlier attempt is then answered with its child, unless that has ended in anything but `Completed`.
    pub digest: Option<u128>,
    /// For a group, whose members have been staged: how many there are. The group itself is not run; it ends
    /// when the last of them has.
    pub members: Option<u32>,
}

/// An idempotency key of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key as its user gave it.
    pub name: Box<str>,
    /// What must be the same under the same key: the payload and the callbacks.
    pub digest: u128,
}

/// Makes the end of a group out of the ends of its members. Pure: it is called in the step that records it.
pub trait Join: Send + Sync {
    /// What ends the group, and the invocations of its callbacks. `rows` are in the order of the slots.
    fn join(&self, group: &Arc<Invocation>, rows: &[Arc<Ended>]) -> (Ended, Batch<Arc<Invocation>>);
}

/// One attempt of one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The invocation.
    pub cid: Cid,
    /// The number of the attempt, from 1.
    pub number: u32,
}

impl AttemptId {
    /// The attempt that a context runs in: its own, or the one around its synchronous call.
    pub(crate) fn around(context: &Context) -> Self {
        let (cid, number) = context.anchor();
        Self { cid, number }
    }
}

/// The right to settle one attempt. Only the engine that made it knows what the numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    pub(crate) number: u64,
    pub(crate) place: u32,
}

/// An attempt that is to be made now.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What to run.
    pub invocation: Arc<Invocation>,
    /// The number of the attempt, from 1; where none is made, that of the last.
    pub attempt: u32,
    /// What became of the attempts before; none where there were none.
    pub before: Option<Arc<Progress>>,
    /// When it was handed out.
    pub started_at: Moment,
    /// The right to settle it.
    pub lease: Lease,
    /// What is to be done with it.
    pub task: Task,
}

impl Delivery {
    /// Which attempt it is.
    pub fn id(&self) -> AttemptId {
        AttemptId { cid: self.invocation.cid, number: self.attempt }
    }

    /// How many attempts before it ended by themselves.
    pub fn failed(&self) -> u32 {
        self.before.as_ref().map_or(0, |before| before.failed)
    }

    /// Whether its begin must be recorded before its handler begins: a process has died during it, and only an attempt
    /// whose handler has really begun counts as another loss.
    pub fn begin_is_recorded(&self) -> bool {
        self.task == Task::Run && has_lost(self.before.as_deref())
    }

    /// When the last attempt before it started.
    pub fn last_started_at(&self) -> Option<Moment> {
        Some(self.before.as_ref()?.tried.last()?.started_at.into())
    }
}

/// What became of the attempts of an invocation that has not ended by them.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// How many were made.
    pub attempts: u32,
    /// How many of them ended by themselves.
    pub failed: u32,
    /// The last of them, in order; [`MAX_TRIED`] at the most.
    pub tried: Vec<Tried>,
    /// When the next may start; none where a shutdown interrupted the last.
    pub next_at: Option<SystemTime>,
    /// How often its process died during an attempt.
    pub losses: u32,
    /// How many such deaths end it as `Lost`, as was recorded when it was accepted; none where that was not known then.
    pub max_losses: Option<u32>,
}

/// Whether a process has died during an invocation.
pub(crate) fn has_lost(before: Option<&Progress>) -> bool {
    before.is_some_and(|before| before.losses > 0)
}

/// Returns `true` for an invocation that is recorded when it ends, and not before: a synchronous call from outside. Its
/// caller waits in this process, so another process has no use for it and never runs it.
#[inline]
pub(crate) fn is_recorded_at_end(invocation: &Invocation) -> bool {
    invocation.channel == Channel::Invoke && invocation.parent.is_none()
}

/// How many attempts of an invocation are remembered one by one.
pub const MAX_TRIED: usize = 10;

/// An attempt that is over and was not the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Its number, from 1.
    pub number: u32,
    /// When it started.
    pub started_at: SystemTime,
    /// When it was over.
    pub ended_at: SystemTime,
    /// What it brought.
    pub error: Box<str>,
    /// The code that its handler gave the failure.
    pub code: Option<Box<str>>,
    /// Whether it ended by itself, and so counts.
    pub counts: bool,
}

impl Progress {
    /// With one more attempt.
    #[must_use]
    pub fn and(before: Option<&Self>, tried: Tried, next_at: Option<SystemTime>) -> Self {
        let mut progress = before.cloned().unwrap_or_default();
        progress.next_at = next_at;
        progress.attempts = tried.number;
        progress.failed += u32::from(tried.counts);
        if progress.tried.len() == MAX_TRIED {
            progress.tried.remove(0);
        }
        progress.tried.push(tried);
        progress
    }
}

/// What is to be done with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Task {
    /// Run it.
    Run,
    /// End it as `Expired`, without running it.
    Expire,
    /// End it as `TimedOut`, without running it: its deadline has passed.
    TimeOut,
    /// End it as `Cancelled`, without running it.
    Cancel,
    /// End it as `Lost`, without running it: its process died during it as often as it may.
    Lose,
    /// End it as `Cancelled`, without running it: the runtime shuts down, and the engine does not keep it.
    GiveUp,
}

/// What cancelling an invocation came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CancelAnswer {
    /// It had ended.
    Ended(Outcome),
    /// It waited, and is delivered to be ended.
    Ending,
    /// This attempt of it runs, and it is noted that it is to stop.
    Noted(Box<Delivery>),
    /// It is a group, which ends when its members have.
    Open,
}

/// An ended invocation.
#[derive(Debug, Clone)]
pub struct Ended {
    /// What ran.
    pub invocation: Arc<Invocation>,
    /// How it ended.
    pub outcome: Outcome,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the last attempt started; none if there was none.
    pub started_at: Option<Moment>,
    /// When it ended.
    pub ended_at: Moment,
    /// What became of the attempts before the last; none where there were none.
    pub before: Option<Arc<Progress>>,
}

impl Ended {
    /// Whether it is a dead letter. Who called synchronously was told, and a step is a part of its chain.
    #[inline]
    pub fn is_dead(&self) -> bool {
        !self.outcome.is_completed()
            && !matches!(self.invocation.channel, Channel::Invoke | Channel::ChainStep)
    }

    /// What is told of it to its group.
    pub(crate) fn member(&self) -> Member<'_> {
        let Self { invocation, outcome, attempts, started_at, ended_at, .. } = self;
        Member {
            cid: invocation.cid,
            service: invocation.service,
            told: match outcome {
                Outcome::Completed(response) => MemberResult::Response(response.kind(), response.as_bytes()),
                failure => MemberResult::Failure(failure),
            },
            attempts: *attempts,
            started_at: *started_at,
            ended_at: *ended_at,
        }
    }

    /// How many bytes it holds: its request, and its response or error.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        let result =
            self.outcome.payload().map_or(0, Payload::len) + self.outcome.error().map_or(0, str::len);
        self.invocation.payload.len() + result
    }
}

/// What follows from an attempt, to be recorded in one step.
#[derive(Debug)]
pub struct Settle {
    /// The invocation.
    pub cid: Cid,
    /// The right to settle.
    pub lease: Lease,
    /// What follows.
    pub verdict: Verdict,
    /// The synchronous calls that ran inside the attempt.
    pub inner: Vec<Ended>,
    /// Whether the attempt is over but its handler has not been dropped, because it blocks its thread: its place and
    /// its key stay taken, and no other attempt starts, until it is [released](crate::engine::Engine::release).
    pub overruns: bool,
}

/// What follows from an attempt.
#[derive(Debug)]
pub enum Verdict {
    /// The invocation has ended.
    End {
        /// The invocation and how it ended.
        ended: Ended,
        /// The invocations of its callbacks, in order.
        callbacks: Batch<Arc<Invocation>>,
    },
    /// Another attempt is to be made.
    Retry {
        /// When it may start; none where a shutdown interrupted the attempt: not in this process then.
        at: Option<SystemTime>,
        /// The attempt that is over.
        tried: Tried,
    },
}

/// A service that this process hosts.
#[derive(Debug, Clone)]
pub struct Hosted {
    /// The service's name.
    pub name: ServiceName,
    /// How many of its invocations may run at once.
    pub concurrency: Option<u32>,
    /// The priority of invocations whose call names none.
    pub priority: i8,
    /// How many may start in a stretch of time.
    pub rate: Option<Rate>,
    /// How many deaths of the process its invocations survive, where their calls do not say.
    pub max_losses: u32,
    /// Names that it had before: what waits under them is its own.
    pub formerly: &'static [&'static str],
}
