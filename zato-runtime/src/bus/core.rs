//! The parts that calls, settling and workers share. Made once, when a runtime starts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use zato_core::{CallError, Cid, Context, Invocation, Moment, Payload};

use super::observer::Observer;
use crate::attempt::cancellation::CancelTokens;
use crate::attempt::limits;
use crate::attempt::retry::Policy;
use crate::attempt::watchdog::Watchdog;
use crate::base::cid;
use crate::config::{Config, MAX_INNER_BYTES, MAX_INNER_RECORDED};
use crate::engine::{Capability, Engine, StoreFault};
use crate::record::lookup::InvocationInfo;
use crate::record::{Algorithm, AttemptId, Ended};
use crate::registry::Registry;

/// How far a shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// No shutdown has begun.
    Open,
    /// Calls from outside are refused, and handlers go on: `shutting_down()` resolves.
    Draining,
    /// The limit is near: `cancelled()` resolves.
    Stopping,
}

/// The bus without what its workers have in hand.
pub(crate) struct BusCore {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) engine: Arc<dyn Engine>,
    /// How far a shutdown has come; written by the shutdown alone.
    pub(crate) phase: watch::Sender<Phase>,
    /// Set when the tokio runtime has ended before the bus was shut down; written by the shutdown alone.
    tokio_ended: AtomicBool,
    /// The attempts that can be asked to stop.
    pub(crate) attempts: CancelTokens,
    /// The attempts that have limits.
    pub(crate) watch: Watchdog,
    /// Synchronous calls that have returned, by the attempt that they ran in, until that attempt is settled.
    /// Written when such a call returns, emptied by settle.
    inner: Mutex<HashMap<AttemptId, NestedRecords>>,
    /// How many attempts have some, so that the others cost no lock. Written under the lock.
    inner_count: AtomicUsize,
    /// How many invocations a shutdown has ended; written by settle.
    pub(crate) given_up: AtomicUsize,
    /// The door that hears of everything that happens, if one listens.
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl BusCore {
    pub(crate) fn new(
        config: Config,
        registry: Registry,
        engine: Arc<dyn Engine>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self {
            watch: Watchdog::new(config.clock.clone()),
            config,
            registry,
            engine,
            phase: watch::Sender::new(Phase::Open),
            given_up: AtomicUsize::new(0),
            tokio_ended: AtomicBool::new(false),
            attempts: CancelTokens::default(),
            inner: Mutex::default(),
            inner_count: AtomicUsize::new(0),
            observer,
        }
    }

    /// Returns a new CID, greater than `after`. `now` is the clock's, just read: to read it again costs more than everything
    /// else about a CID.
    pub(crate) fn mint(&self, now: Moment, after: Option<Cid>) -> Cid {
        if self.config.clock.is_paused_time() { cid::mint(after) } else { cid::mint_at(now, after) }
    }

    /// Notes that the tokio runtime has ended: calls are refused for that reason from now on.
    pub(crate) fn note_tokio_ended(&self) {
        self.tokio_ended.store(true, Ordering::SeqCst);
    }

    /// The reason why the bus takes no more calls.
    pub(crate) fn not_taking(&self) -> CallError {
        if self.tokio_ended.load(Ordering::SeqCst) { CallError::TokioEnded } else { CallError::ShuttingDown }
    }

    /// Where an invocation stands; `None` if it is not held.
    pub(crate) async fn find(&self, cid: Cid) -> Result<Option<InvocationInfo>, StoreFault> {
        Ok(self.engine.find([cid].into_iter().collect()).await?.pop().flatten())
    }

    /// Whether the engine keeps what has not ended for the next start.
    pub(crate) fn is_durable(&self) -> bool {
        self.engine.capabilities().contains(&Capability::Durable)
    }

    /// The policy for the attempts of an invocation.
    pub(crate) fn policy(&self, invocation: &Invocation) -> Policy {
        limits::policy(&self.registry, &self.config, self.is_durable(), invocation)
    }

    /// How the digests are made that the engine keeps or compares.
    pub(crate) fn digests(&self) -> Algorithm {
        if self.is_durable() { Algorithm::Named } else { Algorithm::InProcess }
    }

    /// Whether the attempt that a context belongs to still runs.
    pub(crate) fn is_live(&self, context: &Context) -> bool {
        !context.has_returned() && self.engine.is_running(AttemptId::around(context))
    }

    /// How far a shutdown has come.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// How many may wait before calls from outside wait for room.
    pub(crate) fn max_waiting(&self) -> usize {
        self.config.max_waiting(self.is_durable())
    }

    /// Keeps the record of a synchronous call until the attempt that it ran in is settled. What comes after the
    /// first thousand, or after 8 MiB, is not recorded; what comes after the attempt is dropped by settle.
    pub(crate) fn keep_inner(&self, anchor: AttemptId, ended: Ended) {
        if !self.engine.is_running(anchor) {
            return;
        }
        let response = ended.outcome.payload().map_or(0, Payload::len);
        let bytes = ended.invocation.payload.len() + response;
        self.change_inner(|inner| {
            let kept = inner.entry(anchor).or_default();
            if kept.records.len() < MAX_INNER_RECORDED && kept.bytes + bytes <= MAX_INNER_BYTES {
                kept.bytes += bytes;
                kept.records.push(ended);
            }
        });
    }

    /// The records of the synchronous calls that ran in this attempt.
    pub(crate) fn take_inner(&self, anchor: AttemptId) -> Vec<Ended> {
        if self.inner_count.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        self.change_inner(|inner| inner.remove(&anchor)).map(|kept| kept.records).unwrap_or_default()
    }

    fn change_inner<T>(&self, change: impl FnOnce(&mut HashMap<AttemptId, NestedRecords>) -> T) -> T {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut inner);
        self.inner_count.store(inner.len(), Ordering::SeqCst);
        changed
    }
}

/// The records of the synchronous calls of one attempt.
#[derive(Default)]
struct NestedRecords {
    records: Vec<Ended>,
    bytes: usize,
}
