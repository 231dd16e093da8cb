//! Attempts that somebody may want to stop: those that wait for something, and those that are asked to.
//!
//! An attempt is interrupted only if it was told. A handler that has seen `cancelled()` resolve because of a shutdown
//! and then returns an error has not failed: `Verdict::Again` without a time, which does not count. The memory engine
//! has no next process to wait for, and gives such invocations up when it closes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use crate::record::AttemptId;

/// The attempts of this process.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// By a part of the CID, so that workers seldom meet.
    parts: [Attempted; PARTS],
    /// Set when a shutdown has ended: nothing is begun any more.
    is_closed: AtomicBool,
}

const PARTS: usize = 16;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Attempted {
    entries: Mutex<Entries>,
    /// How many entries there are, so that what never waited costs no lock. Written under the lock.
    count: AtomicUsize,
}

type Entries = HashMap<AttemptId, Arc<Stop>, foldhash::fast::RandomState>;

/// Whether an attempt is asked to stop.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    is_asked: AtomicBool,
    asked: Notify,
    /// Has the attempt looked at.
    waker: AtomicWaker,
    /// Set when the handler has learnt that the runtime shuts down.
    is_told_of_shutdown: AtomicBool,
    /// Set when the attempt is over: whoever still waits to be asked waits for nothing.
    is_over: AtomicBool,
}

/// What an attempt that is over had been told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    /// That its invocation is cancelled.
    pub(crate) is_cancelled: bool,
    /// That the runtime shuts down.
    pub(crate) is_interrupted: bool,
}

impl Stop {
    fn ask(&self) {
        self.is_asked.store(true, Ordering::SeqCst);
        self.asked.notify_waiters();
        self.waker.wake();
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.asked.notify_waiters();
    }

    /// The handler has learnt that the runtime shuts down.
    pub(crate) fn told_of_shutdown(&self) {
        self.is_told_of_shutdown.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::SeqCst)
    }

    /// Whether the attempt is asked to stop; else it is woken when it is.
    pub(crate) fn is_asked_or_wakes(&self, cx: &task::Context<'_>) -> bool {
        self.is_asked() || {
            self.waker.register(cx.waker());
            self.is_asked()
        }
    }

    /// Resolves when the attempt is asked to stop, or is over.
    pub(crate) async fn asked(&self) {
        let asked = self.asked.notified();
        tokio::pin!(asked);
        // Listening begins before the look, or a word between the two would be missed.
        asked.as_mut().enable();
        if !self.is_asked() && !self.is_over.load(Ordering::SeqCst) {
            asked.await;
        }
    }
}

impl Attempted {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Entries) -> T) -> T {
        let mut entries = self.entries();
        let changed = change(&mut entries);
        self.count.store(entries.len(), Ordering::SeqCst);
        changed
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }
}

impl Attempts {
    /// Those of one invocation. CIDs that are minted one after the other differ in these bits.
    fn of(&self, id: AttemptId) -> &Attempted {
        &self.parts[(id.cid.as_u128() >> 58) as usize % PARTS]
    }

    /// Where an attempt learns that it is asked to stop.
    pub(crate) fn stop(&self, id: AttemptId) -> Arc<Stop> {
        self.of(id).change(|entries| entries.entry(id).or_default().clone())
    }

    /// Whether an attempt is asked to stop.
    pub(crate) fn is_asked(&self, id: AttemptId) -> bool {
        let part = self.of(id);
        !part.is_empty() && part.entries().get(&id).is_some_and(|stop| stop.is_asked())
    }

    /// Asks an attempt to stop.
    pub(crate) fn ask(&self, id: AttemptId) {
        self.stop(id).ask();
    }

    /// Notes an attempt that is under way already, and may be asked to stop from now on.
    pub(crate) fn enter(&self, id: AttemptId, stop: &Arc<Stop>) {
        self.of(id).change(|entries| drop(entries.insert(id, stop.clone())));
    }

    /// The attempt is over; answers what it had been told.
    pub(crate) fn forget(&self, id: AttemptId) -> Told {
        let part = self.of(id);
        if part.is_empty() {
            return Told::default();
        }
        let Some(stop) = part.change(|entries| entries.remove(&id)) else {
            return Told::default();
        };
        stop.end();
        let is_interrupted = stop.is_told_of_shutdown.load(Ordering::SeqCst);
        Told { is_cancelled: stop.is_asked(), is_interrupted }
    }

    /// Whether nothing is to be begun any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Lets none begin, and all that wait to be asked to stop wait no more.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        for stop in self.parts.iter().flat_map(|part| part.change(std::mem::take).into_values()) {
            stop.end();
        }
    }
}
