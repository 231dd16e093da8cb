//! Run queues: deliveries that a worker has taken and not started. Idle workers steal from a worker whose handler blocks its
//! thread.
//!
//! Tokio keeps a task that was woken last for the thread that woke it, and a handler may block that thread. So a worker
//! that has woken another yields before its next handler, and an idle worker steals what another has taken and does not
//! start. A worker yields by waking itself, so that any thread may take it: `yield_now` would keep the task for its
//! thread. Timers of tokio stand still while every thread that is awake blocks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::{Batch, Delivery};

/// The deliveries that one worker has taken, in cache lines of their own: a worker writes them for every attempt.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct RunQueue {
    due: Mutex<VecDeque<Delivery>>,
    /// Their number. Written under the lock.
    count: AtomicUsize,
    /// The number of deliveries that the worker has started in all.
    begun: AtomicU64,
    /// The average time of a poll of a handler, in nanoseconds. Written by the worker.
    poll_ns: AtomicU64,
}

/// The part of a delivery that one worker at a time can do, in nanoseconds: what it does under the lock of the engine's
/// state, and what it waits for the caches of other cores.
const SERIAL_NS: u64 = 3_000;

impl RunQueue {
    fn due(&self) -> MutexGuard<'_, VecDeque<Delivery>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut VecDeque<Delivery>) -> T) -> T {
        let mut due = self.due();
        let changed = change(&mut due);
        self.count.store(due.len(), Ordering::Release);
        changed
    }

    /// Adds deliveries in front of all others.
    pub(crate) fn push_front(&self, batch: Batch<Delivery>) {
        if batch.is_empty() {
            return;
        }
        self.change(|due| batch.into_iter().rev().for_each(|delivery| due.push_front(delivery)));
    }

    /// Takes the next delivery.
    pub(crate) fn next(&self) -> Option<Delivery> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.count_start();
        self.change(VecDeque::pop_front)
    }

    /// Notes how long a poll of a handler took. One that took long once, because its thread did not run, counts as no more
    /// than makes `workers` useful.
    pub(crate) fn note_poll(&self, took: Duration, workers: usize) {
        let longest = SERIAL_NS * workers as u64 * 8;
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(longest);
        let before = self.poll_ns.load(Ordering::Relaxed);
        self.poll_ns.store(before - before / 8 + took / 8, Ordering::Relaxed);
    }

    /// The number of workers that are useful at the same time: while one is in the engine, so many others can be in
    /// handlers. More would only wait for each other, and take the engine's state from cache to cache.
    pub(crate) fn useful(&self) -> usize {
        1 + usize::try_from(self.poll_ns.load(Ordering::Relaxed) / SERIAL_NS).unwrap_or(usize::MAX - 1)
    }

    /// Counts a start. Called by the worker alone.
    pub(crate) fn count_start(&self) {
        self.begun.store(self.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// The run queues of all workers.
pub(crate) struct RunQueues(Box<[RunQueue]>);

/// The number of deliveries that each worker had started at some time.
pub(crate) struct ProgressMark(Vec<u64>);

impl RunQueues {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| RunQueue::default()).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn of(&self, worker: usize) -> &RunQueue {
        &self.0[worker]
    }

    /// Whether the run queue of another worker holds anything.
    pub(crate) fn others_hold(&self, worker: usize) -> bool {
        self.0
            .iter()
            .enumerate()
            .any(|(other, queue)| other != worker && queue.count.load(Ordering::Acquire) > 0)
    }

    pub(crate) fn look(&self) -> ProgressMark {
        ProgressMark(self.0.iter().map(|queue| queue.begun.load(Ordering::Relaxed)).collect())
    }

    /// The other workers that have started nothing since then.
    pub(crate) fn stuck<'a>(
        &'a self,
        worker: usize,
        since: &'a ProgressMark,
    ) -> impl Iterator<Item = usize> + 'a {
        (0..self.0.len()).filter(move |other| {
            *other != worker && since.0.get(*other) == Some(&self.0[*other].begun.load(Ordering::Relaxed))
        })
    }

    /// Takes the whole run queue of another worker that has started nothing since then.
    pub(crate) fn steal(&self, worker: usize, since: &ProgressMark) -> Batch<Delivery> {
        for other in self.stuck(worker, since) {
            let queue = &self.0[other];
            if queue.count.load(Ordering::Acquire) > 0 {
                let taken = queue.change(std::mem::take);
                if !taken.is_empty() {
                    return taken.into_iter().collect();
                }
            }
        }
        Batch::new()
    }
}
