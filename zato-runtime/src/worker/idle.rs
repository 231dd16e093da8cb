//! Workers that have nothing to do, and who wakes them.
//!
//! A worker says that it lies down, looks for something to do once more, and sleeps if there is nothing. Whoever has
//! something for a worker puts it where that look would have found it, and rings then: so either the one sees the other's
//! flag or that one sees what has come. Who was rung and has found something else to do rings for another.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use futures_util::task::ArcWake;

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
    /// Of the worker whose task has this waker, which stays the same.
    pub(crate) fn of(worker: &Waker) -> Arc<Self> {
        Arc::new(Self { worker: worker.clone() })
    }

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

    /// Whether a worker has been woken on this thread, where it waits for who runs here.
    pub(crate) fn has_rung_here() -> bool {
        RUNG_LAST.get() != 0
    }

    /// Who runs here steps aside for whoever waits for that.
    pub(crate) fn is_heard_here() {
        RUNG_LAST.set(0);
    }
}

impl ArcWake for Bell {
    fn wake_by_ref(bell: &Arc<Self>) {
        RUNG_LAST.set(bell.place());
        bell.worker.wake_by_ref();
    }
}

/// It does something.
const UP: u8 = 0;

/// It sleeps.
const ASLEEP: u8 = 1;

/// It sleeps, and looks now and then whether another comes to what that has in hand.
const WATCHING: u8 = 2;

/// Where one worker sleeps. Each stands in cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Bed {
    /// Whoever wakes the worker has it [`UP`].
    stands: AtomicU8,
    /// Set by another worker that has seen this one begin nothing for [`PATIENCE`](super::pool::PATIENCE), cleared by
    /// this one when it looks for work again.
    is_stuck: AtomicBool,
    bell: OnceLock<Arc<Bell>>,
}

/// All workers of a runtime, awake and asleep.
pub(crate) struct Sleepers {
    beds: Box<[Bed]>,
    /// The number of workers that are useful at the same time. Written by workers, from how long handlers take
    /// (`hands::useful`).
    useful: AtomicUsize,
    /// The number of threads that the workers run on. On one thread workers do not wait for each other, and a handler that
    /// blocks its thread needs another worker to have taken what comes: all of them are useful.
    threads: usize,
}

impl Bed {
    fn has_somebody(&self) -> bool {
        self.stands.load(Ordering::SeqCst) != UP
    }

    /// Has who sleeps here be up; answers whether somebody slept.
    fn leave(&self) -> bool {
        self.has_somebody() && self.stands.swap(UP, Ordering::SeqCst) != UP
    }

    /// Answers whether somebody slept here.
    fn ring(&self) -> bool {
        let slept = self.leave();
        if slept {
            self.wake();
        }
        slept
    }

    /// The same, but for who watches.
    fn tell(&self) -> bool {
        let slept = self.stands.load(Ordering::SeqCst) == ASLEEP && self.changes(ASLEEP, UP);
        if slept {
            self.wake();
        }
        slept
    }

    /// Whether the worker does something, and begins things.
    fn makes_progress(&self) -> bool {
        !self.has_somebody() && !self.is_stuck.load(Ordering::Relaxed)
    }

    fn changes(&self, from: u8, to: u8) -> bool {
        self.stands.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn wake(&self) {
        if let Some(bell) = self.bell.get() {
            ArcWake::wake_by_ref(bell);
        }
    }
}

impl Sleepers {
    /// Workers that are all up, and run on so many threads.
    pub(crate) fn new(workers: usize, threads: usize) -> Self {
        let beds = (0..workers).map(|_| Bed::default()).collect();
        Self { beds, useful: AtomicUsize::new(workers), threads }
    }

    /// How many workers there are.
    pub(crate) fn len(&self) -> usize {
        self.beds.len()
    }

    /// This wakes a worker.
    pub(crate) fn set_bell(&self, worker: usize, bell: &Arc<Bell>) {
        let _ = self.beds[worker].bell.set(bell.clone());
    }

    /// There is something to do for whoever comes first. Where as many workers make progress as are useful, they come to
    /// it, and one other watches that they do.
    #[inline]
    pub(crate) fn ring_one(&self) {
        let useful = self.useful.load(Ordering::Relaxed);
        if useful < self.beds.len() && self.beds.iter().filter(|bed| bed.makes_progress()).count() >= useful {
            return self.watch_one();
        }
        let _ = self.beds.iter().any(Bed::ring);
    }

    /// Has one worker watch the others, if none does.
    fn watch_one(&self) {
        let watches = |bed: &Bed| bed.stands.load(Ordering::SeqCst) == WATCHING;
        if !self.beds.iter().any(watches) {
            let _ = self.beds.iter().any(Bed::tell);
        }
    }

    /// Whether another worker watches.
    pub(crate) fn others_watch(&self, worker: usize) -> bool {
        let mut others = self.beds.iter().enumerate().filter(|(other, _)| *other != worker);
        others.any(|(_, bed)| bed.stands.load(Ordering::SeqCst) == WATCHING)
    }

    /// Sets how many workers are useful at the same time.
    pub(crate) fn set_useful(&self, workers: usize) {
        let workers = workers.min(self.beds.len());
        if self.threads > 1 && self.useful.load(Ordering::Relaxed) != workers {
            self.useful.store(workers, Ordering::Relaxed);
        }
    }

    /// Whether a worker need not take anything, because as many of those before it make progress as are useful.
    pub(crate) fn is_superfluous(&self, worker: usize) -> bool {
        let useful = self.useful.load(Ordering::Relaxed);
        useful < self.beds.len()
            && self.beds[..worker].iter().filter(|bed| bed.makes_progress()).count() >= useful
    }

    /// A worker begins nothing, perhaps because a handler blocks it.
    pub(crate) fn is_stuck(&self, worker: usize) {
        self.beds[worker].is_stuck.store(true, Ordering::SeqCst);
    }

    /// A worker looks for work again.
    pub(crate) fn looks_for_work(&self, worker: usize) {
        let bed = &self.beds[worker];
        if bed.is_stuck.load(Ordering::Relaxed) {
            bed.is_stuck.store(false, Ordering::SeqCst);
        }
    }

    /// There is something to do for one worker; answers whether it slept.
    pub(crate) fn ring(&self, worker: usize) -> bool {
        self.beds[worker].ring()
    }

    /// A worker has more in hand than it begins now, and may not come to it: another watches.
    pub(crate) fn tell_one(&self) {
        fence(Ordering::SeqCst);
        self.watch_one();
    }

    /// A worker has found nothing to do, and looks once more.
    pub(crate) fn lies_down(&self, worker: usize) {
        self.beds[worker].stands.store(ASLEEP, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether another worker does something.
    pub(crate) fn others_are_up(&self, worker: usize) -> bool {
        self.beds.iter().enumerate().any(|(other, bed)| other != worker && !bed.has_somebody())
    }

    /// Whether nobody has rung for a worker since it lay down.
    pub(crate) fn is_asleep(&self, worker: usize) -> bool {
        self.beds[worker].has_somebody()
    }

    /// A worker that has lain down watches another, which has more in hand than it begins now.
    pub(crate) fn watches(&self, worker: usize) {
        self.beds[worker].changes(ASLEEP, WATCHING);
    }

    /// It watches no more, looks whether any has, and sleeps if none has.
    pub(crate) fn has_watched(&self, worker: usize) {
        if self.beds[worker].changes(WATCHING, ASLEEP) {
            fence(Ordering::SeqCst);
        }
    }

    /// A worker gets up. If it `has_work` of its own, what it was rung for is for another.
    pub(crate) fn gets_up(&self, worker: usize, has_work: bool) {
        let was_rung = !self.beds[worker].leave();
        if was_rung && has_work {
            self.ring_one();
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
    fn two() -> (Sleepers, impl Fn() -> [u32; 2]) {
        let (sleepers, woken) = (Sleepers::new(2, 2), [(); 2].map(|()| Arc::<Woken>::default()));
        for (worker, woken) in woken.iter().enumerate() {
            sleepers.set_bell(worker, &Bell::of(&Waker::from(woken.clone())));
        }
        (sleepers, move || [0, 1].map(|worker| woken[worker].0.load(Ordering::SeqCst)))
    }

    #[test]
    fn each_word_wakes_one_that_sleeps() {
        let (sleepers, woken) = two();
        sleepers.ring_one();
        assert_eq!(woken(), [0, 0], "nobody sleeps");
        sleepers.lies_down(0);
        sleepers.lies_down(1);
        sleepers.ring_one();
        assert_eq!((woken(), sleepers.is_asleep(0), sleepers.is_asleep(1)), ([1, 0], false, true));
        assert_eq!([0, 1].map(|worker| sleepers.others_are_up(worker)), [false, true]);
        sleepers.ring_one();
        sleepers.ring_one();
        assert_eq!(woken(), [1, 1], "each is woken once");
        assert!(!sleepers.ring(0));
    }

    #[test]
    fn who_was_rung_and_has_work_rings_for_another() {
        let (sleepers, woken) = two();
        for (has_work, expected) in [(false, [1, 0]), (true, [2, 1])] {
            sleepers.lies_down(0);
            sleepers.lies_down(1);
            sleepers.ring_one();
            sleepers.gets_up(0, has_work);
            assert_eq!(woken(), expected);
        }
        sleepers.lies_down(0);
        sleepers.lies_down(1);
        sleepers.gets_up(0, true);
        assert_eq!(woken(), [2, 1], "nobody had rung");
    }

    #[test]
    fn who_watches_is_rung_and_not_told() {
        let (sleepers, woken) = two();
        sleepers.lies_down(0);
        sleepers.watches(0);
        sleepers.tell_one();
        assert_eq!((woken(), sleepers.is_asleep(0)), ([0, 0], true));
        sleepers.has_watched(0);
        sleepers.tell_one();
        assert_eq!((woken(), sleepers.is_asleep(0)), ([1, 0], false));
        sleepers.watches(0);
        assert!(!sleepers.is_asleep(0), "it is up");
        sleepers.lies_down(0);
        sleepers.watches(0);
        sleepers.ring_one();
        assert_eq!(woken(), [2, 0]);
    }
}
