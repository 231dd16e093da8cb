//! Idle workers, and how they are woken.
//!
//! A worker that finds no work sets its flag to parked, looks for work once more, and sleeps if there is none. Whoever has
//! work puts it where that second look finds it, and then wakes a worker. So either the worker sees the work, or the other
//! side sees the flag. A worker that was woken but has found other work wakes another one.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use futures_util::task::ArcWake;

thread_local! {
    /// The address of the waker that was called last on this thread, until its worker runs or the running worker has
    /// yielded to it; 0 if there is none.
    static WOKEN_HERE: Cell<usize> = const { Cell::new(0) };
}

/// Wakes one worker, and notes on the thread that calls it that a worker was woken there.
///
/// Tokio keeps the task that was woken last on a thread for that thread, and no other thread can take it.
pub(crate) struct WorkerWaker {
    worker: Waker,
}

impl WorkerWaker {
    /// Makes the waker of the worker whose task has this waker. The task has the same one for good.
    pub(crate) fn of(worker: &Waker) -> Arc<Self> {
        Arc::new(Self { worker: worker.clone() })
    }

    /// Clears the note, because the worker runs.
    pub(crate) fn clear(&self) {
        WOKEN_HERE.with(|last| {
            if last.get() == self.place() {
                last.set(0);
            }
        });
    }

    fn place(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether a worker was woken on this thread and waits for the thread.
    pub(crate) fn woke_on_this_thread() -> bool {
        WOKEN_HERE.get() != 0
    }

    /// Clears the note, because the running worker yields the thread.
    pub(crate) fn clear_woken() {
        WOKEN_HERE.set(0);
    }
}

impl ArcWake for WorkerWaker {
    fn wake_by_ref(waker: &Arc<Self>) {
        WOKEN_HERE.set(waker.place());
        waker.worker.wake_by_ref();
    }
}

/// The worker runs.
const RUNNING: u8 = 0;

/// The worker sleeps.
const PARKED: u8 = 1;

/// The worker sleeps, and looks now and then whether another one has stopped making progress.
const SEARCHING: u8 = 2;

/// The flag of one worker, in cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct IdleFlag {
    /// [`RUNNING`], [`PARKED`] or [`SEARCHING`]. Whoever wakes the worker sets it to [`RUNNING`].
    state: AtomicU8,
    /// Set by another worker that has seen this one begin nothing for [`PATIENCE`](super::pool::PATIENCE), cleared by
    /// this one when it looks for work again.
    is_stuck: AtomicBool,
    waker: OnceLock<Arc<WorkerWaker>>,
}

/// All workers of a runtime, awake and asleep.
pub(crate) struct Idle {
    flags: Box<[IdleFlag]>,
    /// The number of workers that are useful at the same time. Written by workers, from how long handlers take
    /// (`RunQueue::useful`).
    useful: AtomicUsize,
    /// `false` if all workers are useful at any time. On one thread workers do not wait for each other, and a handler that
    /// blocks its thread needs another worker to have taken what comes. An engine that ends the waits of workers, instead of
    /// waking them through this, needs all of them to wait there.
    is_adaptive: bool,
}

impl IdleFlag {
    fn is_idle(&self) -> bool {
        self.state.load(Ordering::SeqCst) != RUNNING
    }

    /// Sets the flag to running; returns whether the worker was idle.
    fn leave(&self) -> bool {
        self.is_idle() && self.state.swap(RUNNING, Ordering::SeqCst) != RUNNING
    }

    /// Wakes the worker; returns whether it was idle.
    fn wake_up(&self) -> bool {
        let slept = self.leave();
        if slept {
            self.wake();
        }
        slept
    }

    /// Wakes the worker if it is parked, not if it searches; returns whether it was.
    fn tell(&self) -> bool {
        let slept = self.state.load(Ordering::SeqCst) == PARKED && self.changes(PARKED, RUNNING);
        if slept {
            self.wake();
        }
        slept
    }

    /// Whether the worker runs and starts attempts.
    fn makes_progress(&self) -> bool {
        !self.is_idle() && !self.is_stuck.load(Ordering::Relaxed)
    }

    fn changes(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            ArcWake::wake_by_ref(waker);
        }
    }
}

impl Idle {
    /// Makes the flags of workers that all run. If `is_adaptive`, the times of their handlers decide how many are useful.
    pub(crate) fn new(workers: usize, is_adaptive: bool) -> Self {
        let flags = (0..workers).map(|_| IdleFlag::default()).collect();
        Self { flags, useful: AtomicUsize::new(workers), is_adaptive }
    }

    /// The number of workers.
    pub(crate) fn len(&self) -> usize {
        self.flags.len()
    }

    /// Sets the waker of a worker.
    pub(crate) fn set_waker(&self, worker: usize, waker: &Arc<WorkerWaker>) {
        let _ = self.flags[worker].waker.set(waker.clone());
    }

    /// Wakes a worker for work that any of them may do. If as many workers make progress as are useful, they come to it, and
    /// one other watches that they do.
    #[inline]
    pub(crate) fn wake_one(&self) {
        let useful = self.useful.load(Ordering::Relaxed);
        if useful < self.flags.len()
            && self.flags.iter().filter(|flag| flag.makes_progress()).count() >= useful
        {
            return self.watch_one();
        }
        let _ = self.flags.iter().any(IdleFlag::wake_up);
    }

    /// Has a parked worker watch the others, if none does.
    fn watch_one(&self) {
        let watches = |flag: &IdleFlag| flag.state.load(Ordering::SeqCst) == SEARCHING;
        if !self.flags.iter().any(watches) {
            let _ = self.flags.iter().any(IdleFlag::tell);
        }
    }

    /// Has another worker watch in the place of one that does something else from now on.
    pub(super) fn hand_over_watch(&self, worker: usize) {
        if !self.others_watch(worker) {
            let _ = self.flags.iter().any(IdleFlag::tell);
        }
    }

    /// Whether another worker watches.
    pub(crate) fn others_watch(&self, worker: usize) -> bool {
        let mut others = self.flags.iter().enumerate().filter(|(other, _)| *other != worker);
        others.any(|(_, flag)| flag.state.load(Ordering::SeqCst) == SEARCHING)
    }

    /// Sets how many workers are useful at the same time.
    pub(crate) fn set_useful(&self, workers: usize) {
        let workers = workers.min(self.flags.len());
        if self.is_adaptive && self.useful.load(Ordering::Relaxed) != workers {
            self.useful.store(workers, Ordering::Relaxed);
        }
    }

    /// Whether a worker need not take anything, because as many of those before it make progress as are useful.
    pub(crate) fn is_superfluous(&self, worker: usize) -> bool {
        let useful = self.useful.load(Ordering::Relaxed);
        useful < self.flags.len()
            && self.flags[..worker].iter().filter(|flag| flag.makes_progress()).count() >= useful
    }

    /// Notes that a worker starts nothing, perhaps because a handler blocks its thread.
    pub(crate) fn is_stuck(&self, worker: usize) {
        self.flags[worker].is_stuck.store(true, Ordering::SeqCst);
    }

    /// Notes that a worker looks for work again.
    pub(crate) fn looks_for_work(&self, worker: usize) {
        let flag = &self.flags[worker];
        if flag.is_stuck.load(Ordering::Relaxed) {
            flag.is_stuck.store(false, Ordering::SeqCst);
        }
    }

    /// Wakes this worker; returns whether it was idle.
    pub(crate) fn wake_up(&self, worker: usize) -> bool {
        self.flags[worker].wake_up()
    }

    /// Has another worker watch, because one has taken more than it starts now.
    pub(crate) fn wake_searcher(&self) {
        fence(Ordering::SeqCst);
        self.watch_one();
    }

    /// Sets the flag of a worker that has found no work, before it looks once more.
    pub(crate) fn park(&self, worker: usize) {
        self.flags[worker].state.store(PARKED, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether another worker runs.
    pub(crate) fn others_are_up(&self, worker: usize) -> bool {
        self.flags.iter().enumerate().any(|(other, flag)| other != worker && !flag.is_idle())
    }

    /// Whether a worker is still idle, because nobody has woken it.
    pub(crate) fn is_asleep(&self, worker: usize) -> bool {
        self.flags[worker].is_idle()
    }

    /// Lets a parked worker watch the others.
    pub(crate) fn watches(&self, worker: usize) {
        self.flags[worker].changes(PARKED, SEARCHING);
    }

    /// Ends the watch of a worker, which looks for work once more and sleeps if there is none.
    pub(crate) fn has_watched(&self, worker: usize) {
        if self.flags[worker].changes(SEARCHING, PARKED) {
            fence(Ordering::SeqCst);
        }
    }

    /// Sets the flag of a worker that has work or was woken. If it was woken but `has_work` already, another one is woken.
    pub(crate) fn unpark(&self, worker: usize, has_work: bool) {
        let was_woken = !self.flags[worker].leave();
        if was_woken && has_work {
            self.wake_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::task::Wake;

    use super::*;

    /// How often it was woken.
    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Two workers, and how often each has been woken.
    fn two() -> (Idle, impl Fn() -> [u32; 2]) {
        let (idle, woken) = (Idle::new(2, true), [(); 2].map(|()| Arc::<Woken>::default()));
        for (worker, woken) in woken.iter().enumerate() {
            idle.set_waker(worker, &WorkerWaker::of(&Waker::from(woken.clone())));
        }
        (idle, move || [0, 1].map(|worker| woken[worker].0.load(Ordering::SeqCst)))
    }

    #[test]
    fn each_word_wakes_one_that_sleeps() {
        let (idle, woken) = two();
        idle.wake_one();
        assert_eq!(woken(), [0, 0], "nobody sleeps");
        idle.park(0);
        idle.park(1);
        idle.wake_one();
        assert_eq!((woken(), idle.is_asleep(0), idle.is_asleep(1)), ([1, 0], false, true));
        assert_eq!([0, 1].map(|worker| idle.others_are_up(worker)), [false, true]);
        idle.wake_one();
        idle.wake_one();
        assert_eq!(woken(), [1, 1], "each is woken once");
        assert!(!idle.wake_up(0));
    }

    #[test]
    fn who_was_woken_and_has_work_rings_for_another() {
        let (idle, woken) = two();
        for (has_work, expected) in [(false, [1, 0]), (true, [2, 1])] {
            idle.park(0);
            idle.park(1);
            idle.wake_one();
            idle.unpark(0, has_work);
            assert_eq!(woken(), expected);
        }
        idle.park(0);
        idle.park(1);
        idle.unpark(0, true);
        assert_eq!(woken(), [2, 1], "nobody had rung");
    }

    #[test]
    fn who_watches_is_rung_and_not_told() {
        let (idle, woken) = two();
        idle.park(0);
        idle.watches(0);
        idle.wake_searcher();
        assert_eq!((woken(), idle.is_asleep(0)), ([0, 0], true));
        idle.has_watched(0);
        idle.wake_searcher();
        assert_eq!((woken(), idle.is_asleep(0)), ([1, 0], false));
        idle.watches(0);
        assert!(!idle.is_asleep(0), "it is up");
        idle.park(0);
        idle.watches(0);
        idle.wake_one();
        assert_eq!(woken(), [2, 0]);
    }

    #[test]
    fn a_worker_that_watches_no_more_has_another_watch() {
        let (idle, woken) = two();
        for worker in [0, 1] {
            idle.park(worker);
        }
        idle.watches(0);
        idle.hand_over_watch(0);
        assert_eq!(woken(), [0, 1]);
        idle.park(1);
        idle.watches(1);
        idle.hand_over_watch(0);
        assert_eq!(woken(), [0, 1], "another watches already");
    }
}
