//! Pending attempts. Each is in a slot, and not in a task of its own, which would cost more than everything else that is done
//! for it.
//!
//! A slot is a waker too, and is used again for other attempts. To wake it puts it into the queue of its worker, and wakes the
//! worker if it sleeps; the worker polls woken attempts in turn with new ones. *No wake-up is lost*: a slot that is woken
//! while its attempt is being polled, or before there is one, notes that, and whoever parks an attempt there looks. An idle
//! worker steals half of what another has woken; after a millisecond without progress, because a handler blocks its thread,
//! it steals all. A shutdown drops all parked attempts ([`Closer`]); the workers own the slots, so they end with the tokio
//! runtime as tasks would.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use futures_util::task::{ArcWake, waker_ref};

use super::idle::Idle;
use super::record_start::{Beginning, Begun};
use crate::attempt::dispatch::RunningAttempt;
use crate::attempt::retry::AttemptResult;
use crate::attempt::timed::TimedAttempt;
use crate::attempt::watchdog::WatchGuard;
use crate::base::lock::lock;
use crate::record::Delivery;

/// The number of slots above which memory is freed once all of them are empty.
const MANY: usize = 1_024;

/// A pending attempt.
pub(crate) struct Parked {
    pub(crate) within: TimedAttempt,
    pub(crate) origin: Origin,
}

/// The state of a pending attempt in the engine.
pub(crate) enum Origin {
    Held(Box<Delivery>, Option<WatchGuard>),
    /// The handler begins once its start is recorded.
    Begins(Beginning),
}

/// A slot for a pending attempt, and its waker. Slots are used again, so a waker may be one of an attempt that has ended; then
/// the next attempt is polled once more, as any waker may do.
pub(crate) struct ParkingSlot {
    /// Whether the slot is in the queue of woken slots, or was woken while it was empty.
    is_woken: AtomicBool,
    /// The worker that polls it. Written by a worker that steals it.
    row: AtomicUsize,
    /// The worker that made the slot, and keeps it for reuse.
    home: usize,
    /// Whether it is free. Written under the lock of the stock.
    is_empty: AtomicBool,
    rows: Arc<Rows>,
    state: Mutex<SlotState>,
}

enum SlotState {
    Empty,
    /// The attempt is being polled.
    Polling,
    Parked(Parked),
}

struct Rows {
    all: Box<[WorkerSlots]>,
    idle: Arc<Idle>,
    /// Set by a shutdown, which drops all attempts.
    is_closed: AtomicBool,
    /// The worker of the next attempt that was begun outside of a worker, counted up.
    next: AtomicUsize,
}

/// The slots of one worker, in cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
struct WorkerSlots {
    /// The slots that were woken, in the order of that.
    woken: Mutex<VecDeque<Arc<ParkingSlot>>>,
    /// Their number. Written under the lock.
    count: AtomicUsize,
    stock: Mutex<Stock>,
}

#[derive(Default)]
struct Stock {
    all: Vec<Arc<ParkingSlot>>,
    empty: Vec<Arc<ParkingSlot>>,
}

/// The slots of all workers. Their attempts are dropped with this.
pub(crate) struct ParkedAttempts(Arc<Rows>);

/// The right to drop all parked attempts, for a shutdown.
pub(crate) struct Closer(Weak<Rows>);

impl ParkingSlot {
    /// Polls an attempt for the first time, which is to be put here if it is pending.
    pub(crate) fn poll_first(self: &Arc<Self>, running: &mut RunningAttempt) -> Poll<AttemptResult> {
        // A wake of an attempt that was here before. None of this one's can have come yet.
        if self.is_woken.load(Ordering::Relaxed) {
            self.is_woken.store(false, Ordering::Relaxed);
        }
        Pin::new(running).poll(&mut Context::from_waker(&waker_ref(self)))
    }

    /// Parks an attempt without limits that was polled here for the first time. It is polled again at once if it has been
    /// asked to stop meanwhile.
    pub(crate) fn park_first(self: &Arc<Self>, parked: Parked) {
        let waker = waker_ref(self);
        let is_signalled = parked.within.is_signalled_or_wakes(&Context::from_waker(&waker));
        if is_signalled { self.park_woken(parked) } else { self.park(parked) }
    }

    /// Polls the record of its begin, for an attempt that was taken from here and has not begun.
    pub(crate) fn poll_beginning(self: &Arc<Self>, beginning: &mut Beginning) -> Poll<Option<Begun>> {
        beginning.poll(&mut Context::from_waker(&waker_ref(self)))
    }

    /// Polls the attempt that was taken from here.
    pub(crate) fn poll(self: &Arc<Self>, parked: &mut Parked) -> Poll<AttemptResult> {
        Pin::new(&mut parked.within).poll(&mut Context::from_waker(&waker_ref(self)))
    }

    /// Parks an attempt that is to be polled once more.
    pub(crate) fn park_woken(self: &Arc<Self>, parked: Parked) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.park(parked);
    }

    /// Parks an attempt until it is woken.
    pub(crate) fn park(self: &Arc<Self>, parked: Parked) {
        let mut state = lock(&self.state);
        if self.rows.is_closed.load(Ordering::SeqCst) {
            drop(state);
            return drop(parked);
        }
        parked.within.note_waits(true);
        *state = SlotState::Parked(parked);
        // A wake-up that came before has not found the attempt.
        let is_woken = self.is_woken.load(Ordering::SeqCst);
        drop(state);
        if is_woken {
            self.schedule();
        }
    }

    /// Takes the attempt out of the slot to poll it, if there is one.
    fn take(&self) -> Option<Parked> {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, SlotState::Polling) {
            SlotState::Parked(parked) => {
                // A wake-up from now on has it polled again.
                self.is_woken.store(false, Ordering::SeqCst);
                parked.within.note_waits(false);
                Some(parked)
            }
            other => {
                *state = other;
                None
            }
        }
    }

    fn schedule(self: &Arc<Self>) {
        let worker = self.row.load(Ordering::SeqCst);
        let row = &self.rows.all[worker];
        let mut woken = lock(&row.woken);
        if self.rows.is_closed.load(Ordering::SeqCst) {
            return;
        }
        woken.push_back(self.clone());
        let is_first = woken.len() == 1;
        row.count.store(woken.len(), Ordering::SeqCst);
        drop(woken);
        if !self.rows.idle.wake_up(worker) && is_first {
            // A handler may block the thread of its worker.
            self.rows.idle.wake_searcher();
        }
    }
}

impl ArcWake for ParkingSlot {
    fn wake_by_ref(slot: &Arc<Self>) {
        if !slot.is_woken.swap(true, Ordering::SeqCst) {
            slot.schedule();
        }
    }
}

impl ParkedAttempts {
    /// Makes the slots of all workers.
    pub(crate) fn new(idle: &Arc<Idle>) -> Self {
        let all = (0..idle.len()).map(|_| WorkerSlots::default()).collect();
        let (is_closed, next) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self(Arc::new(Rows { all, idle: idle.clone(), is_closed, next }))
    }

    pub(crate) fn closer(&self) -> Closer {
        Closer(Arc::downgrade(&self.0))
    }

    fn row(&self, worker: usize) -> &WorkerSlots {
        &self.0.all[worker]
    }

    /// Takes a free slot of a worker, or of any worker.
    pub(crate) fn empty(&self, worker: Option<usize>) -> Arc<ParkingSlot> {
        let any = || self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.all.len();
        let worker = worker.unwrap_or_else(any);
        let mut stock = lock(&self.row(worker).stock);
        let slot = stock.empty.pop().unwrap_or_else(|| {
            let slot = Arc::new(ParkingSlot {
                is_woken: AtomicBool::new(false),
                row: AtomicUsize::new(worker),
                home: worker,
                is_empty: AtomicBool::new(false),
                rows: self.0.clone(),
                state: Mutex::new(SlotState::Empty),
            });
            stock.all.push(slot.clone());
            slot
        });
        slot.is_empty.store(false, Ordering::Relaxed);
        slot.row.store(worker, Ordering::SeqCst);
        slot
    }

    /// Gives a slot back whose attempt has ended.
    pub(crate) fn free(&self, slot: Arc<ParkingSlot>) {
        *lock(&slot.state) = SlotState::Empty;
        let mut stock = lock(&self.row(slot.home).stock);
        slot.is_empty.store(true, Ordering::Relaxed);
        stock.empty.push(slot);
        // A worker keeps one for its next attempt.
        if stock.empty.len() > MANY && stock.empty.len() + 1 >= stock.all.len() {
            stock.all.retain(|slot| !slot.is_empty.load(Ordering::Relaxed));
            stock.empty = Vec::new();
        }
    }

    /// Takes the next woken attempt of a worker.
    pub(crate) fn next(&self, worker: usize) -> Option<(Arc<ParkingSlot>, Parked)> {
        let row = self.row(worker);
        while row.count.load(Ordering::SeqCst) > 0 {
            let mut woken = lock(&row.woken);
            let slot = woken.pop_front();
            row.count.store(woken.len(), Ordering::SeqCst);
            drop(woken);
            let slot = slot?;
            if let Some(parked) = slot.take() {
                return Some((slot, parked));
            }
        }
        None
    }

    /// The number of woken slots of a worker.
    pub(crate) fn woken(&self, worker: usize) -> usize {
        self.row(worker).count.load(Ordering::SeqCst)
    }

    /// Whether another worker has woken slots.
    pub(crate) fn others_have_woken(&self, worker: usize) -> bool {
        (0..self.0.all.len()).any(|other| other != worker && self.woken(other) > 0)
    }

    /// Whether an idle worker has a woken slot, of its own or stolen from another worker that has several.
    pub(crate) fn has_some(&self, worker: usize) -> bool {
        self.woken(worker) > 0 || self.steal_half(worker)
    }

    /// Steals all woken slots of the first of these workers that has any; returns whether there were any.
    pub(crate) fn steal(&self, worker: usize, mut from: impl Iterator<Item = usize>) -> bool {
        from.any(|other| self.move_woken(worker, other, |_| 0))
    }

    /// Steals half of the woken slots of another worker that has several; returns whether there were any.
    fn steal_half(&self, worker: usize) -> bool {
        let mut others = (0..self.0.all.len()).filter(|other| *other != worker);
        others.any(|other| self.woken(other) > 1 && self.move_woken(worker, other, |many| many.div_ceil(2)))
    }

    /// Moves woken slots from one worker to another, except for a number that stays.
    fn move_woken(&self, worker: usize, from: usize, leaves: impl FnOnce(usize) -> usize) -> bool {
        let row = self.row(from);
        let mut woken = lock(&row.woken);
        let many = woken.len();
        let brought = woken.split_off(leaves(many).min(many));
        row.count.store(woken.len(), Ordering::SeqCst);
        drop(woken);
        for slot in &brought {
            slot.row.store(worker, Ordering::SeqCst);
        }
        let (own, is_any) = (self.row(worker), !brought.is_empty());
        let mut woken = lock(&own.woken);
        woken.extend(brought);
        own.count.store(woken.len(), Ordering::SeqCst);
        is_any
    }
}

impl Drop for ParkedAttempts {
    fn drop(&mut self) {
        self.closer().close();
        for row in &self.0.all {
            // Each slot holds a reference to all of them.
            let (stock, woken) =
                (std::mem::take(&mut *lock(&row.stock)), std::mem::take(&mut *lock(&row.woken)));
            drop((stock, woken));
        }
    }
}

impl Closer {
    /// Drops all parked attempts; returns how many of them had begun. None can be parked from now on.
    pub(crate) fn close(&self) -> usize {
        let Some(rows) = self.0.upgrade() else { return 0 };
        rows.is_closed.store(true, Ordering::SeqCst);
        let all = rows.all.iter().flat_map(|row| lock(&row.stock).all.clone());
        let parked = all.collect::<Vec<_>>().into_iter().filter_map(|slot| slot.take());
        parked.filter(|parked| !matches!(parked.origin, Origin::Begins(_))).count()
    }
}
