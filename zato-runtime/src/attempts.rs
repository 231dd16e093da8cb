//! Attempts that somebody may want to stop: those that wait for something, and those that are asked to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

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

type Entries = HashMap<AttemptId, Entry, foldhash::fast::RandomState>;

#[derive(Debug, Default)]
struct Entry {
    stop: Arc<Stop>,
    /// The task that sees the attempt through, once it has one.
    task: Option<AbortHandle>,
}

/// Whether an attempt is asked to stop.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    is_asked: AtomicBool,
    asked: Notify,
    /// The task that sees the attempt through.
    task: AtomicWaker,
    /// Set when the handler has learnt that the runtime shuts down.
    is_told_of_shutdown: AtomicBool,
    seen_through: Mutex<SeenThrough>,
    /// Set when the attempt is over: whoever still waits to be asked waits for nothing.
    is_over: AtomicBool,
}

/// The task that sees an attempt through, and which it is, once it is noted: where it had a task before that.
#[derive(Debug, Default)]
struct SeenThrough {
    id: Option<AttemptId>,
    task: Option<AbortHandle>,
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
    fn seen_through(&self) -> MutexGuard<'_, SeenThrough> {
        self.seen_through.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self) {
        self.is_asked.store(true, Ordering::SeqCst);
        self.asked.notify_waiters();
        self.task.wake();
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

    /// Whether the attempt is asked to stop; else the task that sees it through is woken when it is.
    pub(crate) fn is_asked_or_wakes(&self, cx: &task::Context<'_>) -> bool {
        self.is_asked() || {
            self.task.register(cx.waker());
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
        self.of(id).change(|entries| entries.entry(id).or_default().stop.clone())
    }

    /// Whether an attempt is asked to stop.
    pub(crate) fn is_asked(&self, id: AttemptId) -> bool {
        let part = self.of(id);
        !part.is_empty() && part.entries().get(&id).is_some_and(|entry| entry.stop.is_asked())
    }

    /// Asks an attempt to stop.
    pub(crate) fn ask(&self, id: AttemptId) {
        self.stop(id).ask();
    }

    /// Notes an attempt that is under way already, and may be asked to stop from now on.
    pub(crate) fn enter(&self, id: AttemptId, stop: &Arc<Stop>) {
        let mut seen_through = stop.seen_through();
        seen_through.id = Some(id);
        let entry = Entry { stop: stop.clone(), task: seen_through.task.clone() };
        self.of(id).change(|entries| drop(entries.insert(id, entry)));
    }

    /// Notes the task that sees an attempt through which may be entered at any time, or has been.
    pub(crate) fn note_task(&self, stop: &Stop, task: AbortHandle) {
        let mut seen_through = stop.seen_through();
        seen_through.task = Some(task.clone());
        let entered = seen_through.id;
        drop(seen_through);
        if let Some(id) = entered {
            self.of(id).change(|entries| match entries.get_mut(&id) {
                Some(entry) => entry.task = Some(task),
                // It has ended, or all have been dropped.
                None => task.abort(),
            });
        }
    }

    /// Notes the task that sees an attempt through. `spawn` is called under the lock, so that the task cannot
    /// have been forgotten before it is noted; it is not called once all is closed.
    pub(crate) fn see_through(&self, id: AttemptId, spawn: impl FnOnce(Arc<Stop>) -> AbortHandle) {
        self.of(id).change(|entries| {
            if !self.is_closed() {
                let entry = entries.entry(id).or_default();
                entry.task = Some(spawn(entry.stop.clone()));
            }
        });
    }

    /// The attempt is over; answers what it had been told.
    pub(crate) fn forget(&self, id: AttemptId) -> Told {
        let part = self.of(id);
        if part.is_empty() {
            return Told::default();
        }
        let Some(Entry { stop, .. }) = part.change(|entries| entries.remove(&id)) else {
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

    /// Drops every attempt that waits for something, and lets none begin; answers how many there were.
    pub(crate) fn close(&self) -> usize {
        // Whoever has not seen this has noted its task before its part is taken.
        self.is_closed.store(true, Ordering::SeqCst);
        let entries: Vec<_> =
            self.parts.iter().flat_map(|part| part.change(std::mem::take).into_values()).collect();
        for entry in &entries {
            entry.stop.end();
        }
        let tasks = entries.into_iter().filter_map(|entry| entry.task);
        tasks.map(|task| task.abort()).count()
    }
}
