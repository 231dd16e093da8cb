//! What workers have taken and not begun: others take it over from one whose handler blocks its thread.
//!
//! A worker that was woken runs before the next handler. Tokio keeps a task for the thread that woke it, where no
//! other thread takes it, and a handler may block that thread. So a worker steps aside when it has woken another, and
//! one that has nothing to do takes over what another holds and does not come to. It steps aside by waking itself, so
//! that any thread may take it: `yield_now` keeps a task for its thread until that has nothing else to do. Tokio's
//! timers still stand still while every thread that is awake blocks.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, Wake, Waker};

use tokio::sync::Notify;

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
        self.begins();
        self.change(VecDeque::pop_front)
    }

    /// Its worker begins one more, and nobody else says so.
    pub(crate) fn begins(&self) {
        self.begun.store(self.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// The hands of all workers.
pub(crate) struct Hands {
    all: Box<[Hand]>,
    /// Woken when a worker has more in hand than it begins now.
    filled: Arc<Notify>,
}

thread_local! {
    /// The bell that has rung last on this thread, by where it stands, until its worker has its turn or who runs here has
    /// stepped aside for it; none is zero.
    static RUNG_LAST: Cell<usize> = const { Cell::new(0) };
}

/// What wakes one worker, and tells whoever runs on the same thread that it has been woken there.
///
/// Tokio keeps the task that was woken last on a thread for that thread, where nobody else can take it; the one before it
/// waits where all can.
pub(crate) struct Bell {
    worker: Waker,
}

impl Bell {
    /// The worker looks.
    pub(crate) fn hush(&self) {
        RUNG_LAST.with(|last| {
            if last.get() == self.place() {
                last.set(0);
            }
        });
    }

    fn place(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        RUNG_LAST.set(self.place());
        self.worker.wake_by_ref();
    }
}

/// How far each worker had come at a look.
pub(crate) struct Look(Vec<u64>);

impl Hands {
    pub(crate) fn new(workers: usize) -> Self {
        Self { all: (0..workers).map(|_| Hand::default()).collect(), filled: Arc::default() }
    }

    /// What is woken when a worker has more in hand than it begins now.
    pub(crate) fn all_filled(&self) -> Arc<Notify> {
        self.filled.clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn of(&self, worker: usize) -> &Hand {
        &self.all[worker]
    }

    /// Puts deliveries into a worker's hand, and lets one of those that have nothing to do know where they are several.
    pub(crate) fn fill(&self, worker: usize, batch: Batch<Delivery>) {
        let is_several = batch.len() > 1;
        self.of(worker).put_first(batch);
        if is_several {
            self.tell_of_several();
        }
    }

    /// Lets one of those that have nothing to do know that another has several in hand.
    pub(crate) fn tell_of_several(&self) {
        self.filled.notify_one();
    }

    /// Waits for something to do, so that who runs on the thread that wakes the worker knows.
    pub(crate) async fn wait<F: Future>(&self, bell: &Arc<Bell>, something: F) -> F::Output {
        let (mut something, waker) = (pin!(something), Waker::from(bell.clone()));
        poll_fn(|_| {
            bell.hush();
            something.as_mut().poll(&mut task::Context::from_waker(&waker))
        })
        .await
    }

    /// The bell of the worker whose task this is.
    pub(crate) async fn bell(&self) -> Arc<Bell> {
        // A task's waker stays the same.
        poll_fn(|cx| Poll::Ready(Arc::new(Bell { worker: cx.waker().clone() }))).await
    }

    /// Whether a worker has been woken on this thread, where it waits for who runs here.
    pub(crate) fn anyone_is_woken_here() -> bool {
        RUNG_LAST.get() != 0
    }

    /// Who runs here steps aside for whoever waits for that.
    pub(crate) fn steps_aside_here() {
        RUNG_LAST.set(0);
    }

    /// Resolves when a worker has more in hand than it begins at once; a word that comes before the wait is kept.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Whether another worker has something in hand.
    pub(crate) fn others_hold(&self, worker: usize) -> bool {
        self.all
            .iter()
            .enumerate()
            .any(|(other, hand)| other != worker && hand.count.load(Ordering::Acquire) > 0)
    }

    pub(crate) fn look(&self) -> Look {
        Look(self.all.iter().map(|hand| hand.begun.load(Ordering::Relaxed)).collect())
    }

    /// The other workers that have begun nothing since that look.
    pub(crate) fn stuck<'a>(&'a self, worker: usize, since: &'a Look) -> impl Iterator<Item = usize> + 'a {
        (0..self.all.len()).filter(move |other| {
            *other != worker && since.0.get(*other) == Some(&self.all[*other].begun.load(Ordering::Relaxed))
        })
    }

    /// What a worker has in hand that has begun nothing since that look.
    pub(crate) fn take_over(&self, worker: usize, since: &Look) -> Batch<Delivery> {
        for other in self.stuck(worker, since) {
            let hand = &self.all[other];
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
