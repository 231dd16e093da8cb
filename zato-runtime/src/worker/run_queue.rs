//! What workers have taken and not begun: others take it over from one whose handler blocks its thread.
//!
//! A worker that was woken runs before the next handler. Tokio keeps a task for the thread that woke it, where no
//! other thread takes it, and a handler may block that thread. So a worker steps aside when it has woken another, and
//! one that has nothing to do takes over what another holds and does not come to. It steps aside by waking itself, so
//! that any thread may take it: `yield_now` keeps a task for its thread until that has nothing else to do. Tokio's
//! timers still stand still while every thread that is awake blocks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::{Batch, Delivery};

/// What one worker has taken. Each stands in cache lines of its own: a worker writes there for every attempt.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Hand {
    due: Mutex<VecDeque<Delivery>>,
    /// How many stand there; written under the lock.
    count: AtomicUsize,
    /// How many the worker has begun in all.
    begun: AtomicU64,
    /// How long polls of handlers take on average, in nanoseconds. Written by the worker.
    poll_ns: AtomicU64,
}

/// The part of a delivery that one worker at a time can do, in nanoseconds: what it does under the lock of the engine's
/// state, and what it waits for the caches of other cores.
const SERIAL_NS: u64 = 3_000;

impl Hand {
    fn due(&self) -> MutexGuard<'_, VecDeque<Delivery>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut VecDeque<Delivery>) -> T) -> T {
        let mut due = self.due();
        let changed = change(&mut due);
        self.count.store(due.len(), Ordering::Release);
        changed
    }

    /// Puts deliveries before all others.
    pub(crate) fn put_first(&self, batch: Batch<Delivery>) {
        if batch.is_empty() {
            return;
        }
        self.change(|due| batch.into_iter().rev().for_each(|delivery| due.push_front(delivery)));
    }

    /// The next to begin.
    pub(crate) fn next(&self) -> Option<Delivery> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.begins();
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

    /// Its worker begins one more, and nobody else says so.
    pub(crate) fn begins(&self) {
        self.begun.store(self.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// The hands of all workers.
pub(crate) struct Hands(Box<[Hand]>);

/// How far each worker had come at a look.
pub(crate) struct Look(Vec<u64>);

impl Hands {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Hand::default()).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn of(&self, worker: usize) -> &Hand {
        &self.0[worker]
    }

    /// Whether another worker has something in hand.
    pub(crate) fn others_hold(&self, worker: usize) -> bool {
        self.0
            .iter()
            .enumerate()
            .any(|(other, hand)| other != worker && hand.count.load(Ordering::Acquire) > 0)
    }

    pub(crate) fn look(&self) -> Look {
        Look(self.0.iter().map(|hand| hand.begun.load(Ordering::Relaxed)).collect())
    }

    /// The other workers that have begun nothing since that look.
    pub(crate) fn stuck<'a>(&'a self, worker: usize, since: &'a Look) -> impl Iterator<Item = usize> + 'a {
        (0..self.0.len()).filter(move |other| {
            *other != worker && since.0.get(*other) == Some(&self.0[*other].begun.load(Ordering::Relaxed))
        })
    }

    /// What a worker has in hand that has begun nothing since that look.
    pub(crate) fn take_over(&self, worker: usize, since: &Look) -> Batch<Delivery> {
        for other in self.stuck(worker, since) {
            let hand = &self.0[other];
            if hand.count.load(Ordering::Acquire) > 0 {
                let taken = hand.change(std::mem::take);
                if !taken.is_empty() {
                    return taken.into_iter().collect();
                }
            }
        }
        Batch::new()
    }
}
