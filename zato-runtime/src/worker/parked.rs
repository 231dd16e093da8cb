//! Attempts that wait for something. Each has a seat, and whoever wakes it has a worker go on with it: a task for
//! each would cost more than all else that is done for it.
//!
//! The waker of a seat is used again and again. Whoever wakes it lines it up with its worker, and wakes that if it
//! sleeps; the worker polls the attempt as it polls new ones, in turn with them. Most of what a handler that waits
//! costs beside was the allocations that one thread makes for a task and another frees: on its worker's thread there
//! are none of those. *No wake-up is lost*: a seat that is woken while nobody sits there keeps the word, and who sits
//! down looks. A worker that has nothing to do takes half of what another has woken; what one does not come to whose
//! handler blocks is taken over after a millisecond, as what it has in hand is. All attempts that wait have seats,
//! those that are held and have limits too. A shutdown drops whoever sits (`Closer`); the workers hold the seats, so
//! they go with tokio as tasks would.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use futures_util::task::{ArcWake, waker_ref};

use super::idle::Sleepers;
use super::record_start::{Beginning, Begun};
use crate::attempt::dispatch::Running;
use crate::attempt::retry::Brought;
use crate::attempt::timed::Within;
use crate::attempt::watchdog::Watched;
use crate::base::lock::lock;
use crate::record::Delivery;

/// Room for more is given up where so many seats are empty, and all are.
const MANY: usize = 1_024;

/// An attempt that waits for something.
pub(crate) struct Seated {
    pub(crate) within: Within,
    pub(crate) stands: Stands,
}

/// Where the engine has it.
pub(crate) enum Stands {
    Held(Box<Delivery>, Option<Watched>),
    /// Its handler begins once that is recorded.
    Begins(Beginning),
}

/// One is used again and again, so that a waker may be of an attempt that is over. It has the next polled once more, as any
/// waker may.
pub(crate) struct Seat {
    /// Whether it stands among those that have been woken, or has been woken while nobody sat there: who sits down looks.
    is_woken: AtomicBool,
    /// Whose worker goes on with it. Written by one that takes over what another does not come to.
    row: AtomicUsize,
    /// In whose stock it is.
    home: usize,
    /// Whether it is for the next; written under the lock of the stock.
    is_empty: AtomicBool,
    rows: Arc<Rows>,
    sits: Mutex<Sits>,
}

enum Sits {
    Nobody,
    /// It is polled.
    Away,
    Here(Seated),
}

struct Rows {
    all: Box<[Row]>,
    sleepers: Arc<Sleepers>,
    /// Set when all are given up.
    is_closed: AtomicBool,
    /// Whose turn it is to go on with what no worker has begun, counted up.
    next: AtomicUsize,
}

/// The seats of one worker. Each stands in cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Row {
    /// Those that have been woken, in that order.
    woken: Mutex<VecDeque<Arc<Seat>>>,
    /// How many they are; written under the lock.
    count: AtomicUsize,
    stock: Mutex<Stock>,
}

#[derive(Default)]
struct Stock {
    all: Vec<Arc<Seat>>,
    empty: Vec<Arc<Seat>>,
}

/// The seats of all workers. They are given up when this is dropped.
pub(crate) struct Seats(Arc<Rows>);

/// The same for who shuts down.
pub(crate) struct Closer(Weak<Rows>);

impl Seat {
    /// Polls an attempt for the first time, which is to be put here if it is pending.
    pub(crate) fn poll_first(self: &Arc<Self>, running: &mut Running) -> Poll<Brought> {
        // A wake of an attempt that was here before. None of this one's can have come yet.
        if self.is_woken.load(Ordering::Relaxed) {
            self.is_woken.store(false, Ordering::Relaxed);
        }
        Pin::new(running).poll(&mut Context::from_waker(&waker_ref(self)))
    }

    /// Parks an attempt without limits that was polled here for the first time. It is polled again at once if it has been
    /// asked to stop meanwhile.
    pub(crate) fn sit_first(self: &Arc<Self>, seated: Seated) {
        let waker = waker_ref(self);
        let is_signalled = seated.within.is_signalled_or_wakes(&Context::from_waker(&waker));
        if is_signalled { self.sit_woken(seated) } else { self.sit(seated) }
    }

    /// Polls the record of its begin, for an attempt that was taken from here and has not begun.
    pub(crate) fn poll_beginning(self: &Arc<Self>, beginning: &mut Beginning) -> Poll<Option<Begun>> {
        beginning.poll(&mut Context::from_waker(&waker_ref(self)))
    }

    /// Polls the one that was taken from here.
    pub(crate) fn poll(self: &Arc<Self>, seated: &mut Seated) -> Poll<Brought> {
        Pin::new(&mut seated.within).poll(&mut Context::from_waker(&waker_ref(self)))
    }

    /// Has one sit down that is to be polled once more.
    pub(crate) fn sit_woken(self: &Arc<Self>, seated: Seated) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.sit(seated);
    }

    /// Has one sit down, until it is woken.
    pub(crate) fn sit(self: &Arc<Self>, seated: Seated) {
        let mut sits = lock(&self.sits);
        if self.rows.is_closed.load(Ordering::SeqCst) {
            drop(sits);
            return drop(seated);
        }
        seated.within.note_waits(true);
        *sits = Sits::Here(seated);
        // Who has woken it before has not found it.
        let is_woken = self.is_woken.load(Ordering::SeqCst);
        drop(sits);
        if is_woken {
            self.line_up();
        }
    }

    /// The one who sits here, if anybody does.
    fn take(&self) -> Option<Seated> {
        let mut sits = lock(&self.sits);
        match std::mem::replace(&mut *sits, Sits::Away) {
            Sits::Here(seated) => {
                // Whoever wakes it from now on has it polled again.
                self.is_woken.store(false, Ordering::SeqCst);
                seated.within.note_waits(false);
                Some(seated)
            }
            other => {
                *sits = other;
                None
            }
        }
    }

    fn line_up(self: &Arc<Self>) {
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
        if !self.rows.sleepers.ring(worker) && is_first {
            // Its worker may not come to it.
            self.rows.sleepers.tell_one();
        }
    }
}

impl ArcWake for Seat {
    fn wake_by_ref(seat: &Arc<Self>) {
        if !seat.is_woken.swap(true, Ordering::SeqCst) {
            seat.line_up();
        }
    }
}

impl Seats {
    /// For all workers.
    pub(crate) fn new(sleepers: &Arc<Sleepers>) -> Self {
        let all = (0..sleepers.len()).map(|_| Row::default()).collect();
        let (is_closed, next) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self(Arc::new(Rows { all, sleepers: sleepers.clone(), is_closed, next }))
    }

    pub(crate) fn closer(&self) -> Closer {
        Closer(Arc::downgrade(&self.0))
    }

    fn row(&self, worker: usize) -> &Row {
        &self.0.all[worker]
    }

    /// A seat for the next of a worker, or of any.
    pub(crate) fn empty(&self, worker: Option<usize>) -> Arc<Seat> {
        let any = || self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.all.len();
        let worker = worker.unwrap_or_else(any);
        let mut stock = lock(&self.row(worker).stock);
        let seat = stock.empty.pop().unwrap_or_else(|| {
            let seat = Arc::new(Seat {
                is_woken: AtomicBool::new(false),
                row: AtomicUsize::new(worker),
                home: worker,
                is_empty: AtomicBool::new(false),
                rows: self.0.clone(),
                sits: Mutex::new(Sits::Nobody),
            });
            stock.all.push(seat.clone());
            seat
        });
        seat.is_empty.store(false, Ordering::Relaxed);
        seat.row.store(worker, Ordering::SeqCst);
        seat
    }

    /// The one who was taken from this seat needs it no more.
    pub(crate) fn leave(&self, seat: Arc<Seat>) {
        *lock(&seat.sits) = Sits::Nobody;
        let mut stock = lock(&self.row(seat.home).stock);
        seat.is_empty.store(true, Ordering::Relaxed);
        stock.empty.push(seat);
        // A worker keeps one for the next.
        if stock.empty.len() > MANY && stock.empty.len() + 1 >= stock.all.len() {
            stock.all.retain(|seat| !seat.is_empty.load(Ordering::Relaxed));
            stock.empty = Vec::new();
        }
    }

    /// The next that a worker is to go on with.
    pub(crate) fn next(&self, worker: usize) -> Option<(Arc<Seat>, Seated)> {
        let row = self.row(worker);
        while row.count.load(Ordering::SeqCst) > 0 {
            let mut woken = lock(&row.woken);
            let seat = woken.pop_front();
            row.count.store(woken.len(), Ordering::SeqCst);
            drop(woken);
            let seat = seat?;
            if let Some(seated) = seat.take() {
                return Some((seat, seated));
            }
        }
        None
    }

    /// How many have been woken that a worker is to go on with.
    pub(crate) fn woken(&self, worker: usize) -> usize {
        self.row(worker).count.load(Ordering::SeqCst)
    }

    /// Whether some are that another worker is to go on with.
    pub(crate) fn others_have_woken(&self, worker: usize) -> bool {
        (0..self.0.all.len()).any(|other| other != worker && self.woken(other) > 0)
    }

    /// Whether a worker that has nothing else to do is to go on with any: what has been woken for it, or half of what has
    /// been for another, if that is several.
    pub(crate) fn has_some(&self, worker: usize) -> bool {
        self.woken(worker) > 0 || self.share(worker)
    }

    /// Has a worker go on with what one of these does not come to; answers whether there was anything.
    pub(crate) fn take_over(&self, worker: usize, mut from: impl Iterator<Item = usize>) -> bool {
        from.any(|other| self.bring(worker, other, |_| 0))
    }

    /// Has a worker that has nothing to do go on with half of what another is to; answers whether there was anything.
    fn share(&self, worker: usize) -> bool {
        let mut others = (0..self.0.all.len()).filter(|other| *other != worker);
        others.any(|other| self.woken(other) > 1 && self.bring(worker, other, |many| many.div_ceil(2)))
    }

    /// Brings a worker what another has woken, but for so many.
    fn bring(&self, worker: usize, from: usize, leaves: impl FnOnce(usize) -> usize) -> bool {
        let row = self.row(from);
        let mut woken = lock(&row.woken);
        let many = woken.len();
        let brought = woken.split_off(leaves(many).min(many));
        row.count.store(woken.len(), Ordering::SeqCst);
        drop(woken);
        for seat in &brought {
            seat.row.store(worker, Ordering::SeqCst);
        }
        let (own, is_any) = (self.row(worker), !brought.is_empty());
        let mut woken = lock(&own.woken);
        woken.extend(brought);
        own.count.store(woken.len(), Ordering::SeqCst);
        is_any
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        self.closer().close();
        for row in &self.0.all {
            // Each holds on to all.
            let (stock, woken) =
                (std::mem::take(&mut *lock(&row.stock)), std::mem::take(&mut *lock(&row.woken)));
            drop((stock, woken));
        }
    }
}

impl Closer {
    /// Drops all attempts that wait for something; returns how many of them had begun. No attempt waits from now on.
    pub(crate) fn close(&self) -> usize {
        let Some(rows) = self.0.upgrade() else { return 0 };
        rows.is_closed.store(true, Ordering::SeqCst);
        let all = rows.all.iter().flat_map(|row| lock(&row.stock).all.clone());
        let seated = all.collect::<Vec<_>>().into_iter().filter_map(|seat| seat.take());
        seated.filter(|seated| !matches!(seated.stands, Stands::Begins(_))).count()
    }
}
