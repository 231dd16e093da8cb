//! What workers have taken and not begun: others take it over from one whose handler blocks its thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::record::{Batch, Delivery};

/// What one worker has taken.
#[derive(Default)]
pub(crate) struct Hand {
    due: Mutex<VecDeque<Delivery>>,
    /// How many stand there; written under the lock.
    count: AtomicUsize,
    /// How many the worker has begun in all.
    begun: AtomicU64,
}

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
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.change(VecDeque::pop_front)
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

    /// What a worker has in hand that has begun nothing since that look.
    pub(crate) fn take_over(&self, worker: usize, since: &Look) -> Batch<Delivery> {
        for (other, hand) in self.0.iter().enumerate() {
            let has_come_on =
                since.0.get(other).is_none_or(|begun| *begun != hand.begun.load(Ordering::Relaxed));
            if other != worker && !has_come_on && hand.count.load(Ordering::Acquire) > 0 {
                let taken = hand.change(std::mem::take);
                if !taken.is_empty() {
                    return taken.into_iter().collect();
                }
            }
        }
        Batch::new()
    }
}
