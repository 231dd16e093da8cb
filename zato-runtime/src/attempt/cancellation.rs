//! Attempts that can be asked to stop: those that wait for something, and those that somebody has asked.
//!
//! An attempt is interrupted only if its handler has seen the shutdown, through `shutting_down()` or `cancelled()`. If it
//! then returns a retryable error, it does not count (`retry`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use crate::record::AttemptId;

/// The attempts of this process.
#[derive(Debug, Default)]
pub(crate) struct CancelTokens {
    /// By a part of the CID, so that workers seldom meet.
    parts: [Shard; PARTS],
    /// Set when a shutdown has ended: nothing is begun any more.
    is_closed: AtomicBool,
}

const PARTS: usize = 16;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard {
    entries: Mutex<Entries>,
    /// How many entries there are, so that what never waited costs no lock. Written under the lock.
    count: AtomicUsize,
}

type Entries = HashMap<AttemptId, Arc<CancelToken>, foldhash::fast::RandomState>;

/// The stop signals of one attempt.
#[derive(Debug, Default)]
pub(crate) struct CancelToken {
    /// Set when the invocation is cancelled.
    is_asked: AtomicBool,
    /// Set when a shutdown gives the attempt up: its handler is dropped at once.
    is_given_up: AtomicBool,
    /// Notified when one of the flags of this attempt is set.
    changed: Notify,
    /// Wakes the attempt, so that it looks at the flags.
    waker: AtomicWaker,
    /// Set when the handler has seen that the runtime shuts down.
    has_seen_shutdown: AtomicBool,
    /// Whether the attempt waits for something, and is not polled now; written by who polls it.
    waits: AtomicBool,
    /// Set when the attempt is over: whoever still waits to be asked waits for nothing.
    is_over: AtomicBool,
}

/// The stop signals that an attempt has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// None: it goes on.
    GoOn,
    /// Its invocation is cancelled: it has a grace to end by itself.
    Stop,
    /// A shutdown gives it up: it ends now.
    End,
}

/// The signals that an attempt had received when it was over.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signals {
    /// Its invocation is cancelled.
    pub(crate) is_cancelled: bool,
    /// Its handler has seen that the runtime shuts down.
    pub(crate) is_interrupted: bool,
}

impl CancelToken {
    fn ask(&self) {
        self.is_asked.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
        self.waker.wake();
    }

    fn give_up(&self) {
        self.is_given_up.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Notes whether the attempt waits for something, and is not polled now.
    pub(crate) fn note_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }

    /// Notes that the handler has seen that the runtime shuts down.
    pub(crate) fn sees_shutdown(&self) {
        self.has_seen_shutdown.store(true, Ordering::SeqCst);
    }

    fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::SeqCst)
    }

    /// Returns the signal that the attempt has received, and wakes it when the next one comes.
    pub(crate) fn signal(&self, cx: &task::Context<'_>) -> Signal {
        self.waker.register(cx.waker());
        if self.is_given_up.load(Ordering::SeqCst) {
            Signal::End
        } else if self.is_asked() {
            Signal::Stop
        } else {
            Signal::GoOn
        }
    }

    /// Resolves when the attempt is asked to stop, or is over.
    pub(crate) async fn asked(&self) {
        self.holds(|| self.is_asked() || self.is_over.load(Ordering::SeqCst)).await;
    }

    /// Resolves when the attempt is over.
    pub(crate) async fn over(&self) {
        self.holds(|| self.is_over.load(Ordering::SeqCst)).await;
    }

    async fn holds(&self, holds: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listening begins before the look, or a change between the two would be missed.
            changed.as_mut().enable();
            if holds() {
                return;
            }
            changed.await;
        }
    }
}

impl Shard {
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

impl CancelTokens {
    /// Those of one invocation. CIDs that are minted one after the other differ in these bits.
    fn of(&self, id: AttemptId) -> &Shard {
        &self.parts[(id.cid.as_u128() >> 58) as usize % PARTS]
    }

    /// Where an attempt learns that it is asked to stop.
    pub(crate) fn stop(&self, id: AttemptId) -> Arc<CancelToken> {
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

    /// Drops the handler of an attempt at once, where it waits for something.
    pub(crate) fn give_up(&self, id: AttemptId) {
        self.stop(id).give_up();
    }

    /// Whether the handler of an attempt has seen that the runtime shuts down.
    pub(crate) fn has_seen_shutdown(&self, id: AttemptId) -> bool {
        let part = self.of(id);
        !part.is_empty()
            && part.entries().get(&id).is_some_and(|stop| stop.has_seen_shutdown.load(Ordering::SeqCst))
    }

    /// Whether an attempt waits for something, and is not polled now.
    pub(crate) fn waits(&self, id: AttemptId) -> bool {
        let part = self.of(id);
        !part.is_empty() && part.entries().get(&id).is_some_and(|stop| stop.waits.load(Ordering::Relaxed))
    }

    /// Forgets an attempt that is over; returns the signals that it had received.
    pub(crate) fn forget(&self, id: AttemptId) -> Signals {
        let part = self.of(id);
        if part.is_empty() {
            return Signals::default();
        }
        let Some(stop) = part.change(|entries| entries.remove(&id)) else {
            return Signals::default();
        };
        stop.end();
        let is_interrupted = stop.has_seen_shutdown.load(Ordering::SeqCst);
        Signals { is_cancelled: stop.is_asked(), is_interrupted }
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
