//! The log of all that happens in one bus.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use zato_core::{Channel, Payload};
use zato_runtime::{Cancellation, Cid, Error, InvocationInfo, Outcome, Runtime, Status};

use super::script::{Call, Chain, End, Group};

/// Everything that a handler sees of its invocation.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) cid: Cid,
    pub(crate) attempt: u32,
    pub(crate) service: String,
    pub(crate) channel: Channel,
    pub(crate) in_reply_to: Option<Cid>,
    pub(crate) parent: Option<Cid>,
    pub(crate) root: Cid,
    pub(crate) caller: Option<String>,
    pub(crate) deadline: Option<SystemTime>,
    pub(crate) payload: Payload,
}

/// What the bus tells who looks at an invocation that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) cid: Cid,
    pub(crate) service: String,
    pub(crate) in_reply_to: Option<Cid>,
    pub(crate) group: Option<Cid>,
    pub(crate) payload: Payload,
    pub(crate) attempts: u32,
    /// What it runs again, and what runs it again.
    pub(crate) again_of: Option<Cid>,
    pub(crate) again: Option<Cid>,
    pub(crate) ended_at: SystemTime,
    pub(crate) outcome: Outcome,
}

impl Record {
    /// `None` if it has not ended.
    pub(crate) fn new(found: &InvocationInfo) -> Option<Self> {
        let invocation = &found.invocation;
        let Status::Ended { ended, again } = &found.status else { return None };
        Some(Self {
            cid: found.cid(),
            service: found.service().to_owned(),
            in_reply_to: invocation.in_reply_to(),
            group: invocation.slot.map(|slot| slot.group),
            payload: invocation.payload.clone(),
            attempts: found.attempts,
            again_of: invocation.again_of(),
            again: *again,
            ended_at: ended.ended_at.into(),
            outcome: ended.outcome.clone(),
        })
    }
}

/// How a call was made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum How {
    Async,
    Sync,
    Member,
    /// As the first of a chain.
    Step,
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A call is about to be made, by a handler or from outside.
    Asked {
        token: u64,
        by: Option<Cid>,
        how: How,
        call: Arc<Call>,
    },
    /// Calls that were asked are about to be made as a group.
    AskedAll {
        token: u64,
        by: Option<Cid>,
        members: Vec<u64>,
        group: Arc<Group>,
    },
    /// A call that was asked is about to be made as the first of a chain.
    AskedChain {
        token: u64,
        by: Option<Cid>,
        first: u64,
        chain: Arc<Chain>,
    },
    Taken {
        token: u64,
        answer: Result<Cid, String>,
    },
    /// A synchronous call has returned: the token of the answer, or whether the failure is permanent.
    Returned {
        token: u64,
        answer: Result<u64, bool>,
    },
    Began(Run),
    /// A handler has learnt that it is to stop.
    Told {
        cid: Cid,
    },
    /// How an attempt ended by itself; not at all if it was dropped.
    Left {
        cid: Cid,
        how: Option<End>,
    },
    Cancelling {
        id: u64,
        cid: Cid,
        with_tree: bool,
    },
    CancelAnswered {
        id: u64,
        answer: Result<Cancellation, String>,
    },
    Ended {
        cid: Cid,
        outcome: Option<Outcome>,
    },
    /// Somebody outside is about to have something run again.
    AskedAgain,
    /// Somebody outside had something run again.
    RanAgain {
        cid: Cid,
        answer: Result<Cid, String>,
    },
    Discarded {
        cid: Cid,
        answer: Result<(), String>,
    },
    /// A service was paused, or resumed.
    Paused {
        service: &'static str,
        paused: bool,
    },
    ShutdownBegan {
        limit: u64,
    },
    ShutdownEnded,
    /// A shutdown begins that is followed by another start.
    RestartBegan {
        limit: u64,
    },
    Stopped,
    Restarted,
    /// All dead letters, when all is over.
    Dead {
        letters: Vec<Record>,
    },
    /// What the bus says of a CID when all is over, if it says anything.
    InvocationInfo {
        cid: Cid,
        record: Option<Record>,
    },
    /// How it ended, as the bus says when all is over.
    Remembered {
        cid: Cid,
        outcome: Option<Outcome>,
    },
}

/// What happened, in its order and with its time in milliseconds: a resource of all services.
#[derive(Clone)]
pub(crate) struct Log(Arc<Inner>);

struct Inner {
    began: (Instant, SystemTime),
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: Vec<(u64, Event)>,
    last_token: u64,
    known: Vec<Cid>,
    /// Those that have ended in anything but `Completed`.
    failed: Vec<Cid>,
    watched: BTreeSet<Cid>,
    /// Those that had not ended when a bus was shut down that keeps them.
    unheard: Vec<Cid>,
    runtime: Option<Runtime>,
}

impl Log {
    pub(crate) fn new(wall: SystemTime) -> Self {
        Self(Arc::new(Inner { began: (Instant::now(), wall), state: Mutex::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of day, so many milliseconds from now.
    pub(crate) fn in_ms(&self, ms: u64) -> SystemTime {
        let (began, wall) = self.0.began;
        wall + began.elapsed() + Duration::from_millis(ms)
    }

    pub(crate) fn push(&self, event: Event) {
        let at = u64::try_from(self.0.began.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state().events.push((at, event));
    }

    pub(crate) fn token(&self) -> u64 {
        let mut state = self.state();
        state.last_token += 1;
        state.last_token
    }

    pub(crate) fn known(&self) -> Vec<Cid> {
        self.state().known.clone()
    }

    pub(crate) fn failed(&self) -> Vec<Cid> {
        self.state().failed.clone()
    }

    /// Waiters are told by this bus; without one, the log is as good as closed.
    pub(crate) fn set_runtime(&self, runtime: Option<Runtime>) {
        let before = std::mem::replace(&mut self.state().runtime, runtime);
        drop(before);
    }

    pub(crate) fn take(&self) -> Vec<(u64, Event)> {
        std::mem::take(&mut self.state().events)
    }

    /// Notes a CID, and has somebody wait for its outcome.
    pub(crate) fn watch(&self, cid: Cid) {
        let mut state = self.state();
        if !state.watched.insert(cid) {
            return;
        }
        state.known.push(cid);
        drop(state);
        self.hear(cid);
    }

    /// The bus has been started again: the others are waited for.
    pub(crate) fn hear_again(&self) {
        let unheard = std::mem::take(&mut self.state().unheard);
        for cid in unheard {
            self.hear(cid);
        }
    }

    fn hear(&self, cid: Cid) {
        let Some(runtime) = self.state().runtime.clone() else { return };
        let log = self.clone();
        tokio::spawn(async move {
            let outcome = runtime.outcome(cid).await;
            drop(runtime);
            if matches!(outcome, Err(Error::Store(_))) {
                log.state().unheard.push(cid);
                return;
            }
            let outcome = outcome.ok();
            if outcome.as_ref().is_some_and(|outcome| !outcome.is_completed()) {
                log.state().failed.push(cid);
            }
            log.push(Event::Ended { cid, outcome });
        });
    }
}
