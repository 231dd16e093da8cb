//! Where plain invocations are on their way past the state: in a queue, in the hands of workers, and as rows of what has
//! come of them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;
use zato_core::{Invocation, Moment, Payload, ServiceName};

use super::lock::lock;
use super::rows::{Completed, FEW_BYTES, Rows};
use crate::apart::Apart;
use crate::engine::express::{Begun, Follow, Follows, Plain, PlainCall};
use crate::record::Delivery;

/// How many wait here at the most: whoever looks enters all of them, at less than a microsecond each.
const MOST_WAITING: usize = 10_000;

/// How many rows a worker writes before it hands them over.
const ROWS: usize = 32;

/// Some of the service wait here.
const WAITS: u8 = 1;

/// The service is paused.
const PAUSED: u8 = 2;

/// No timer rings.
const NEVER: u64 = u64::MAX;

pub(super) struct Track {
    waiting: Apart<Mutex<Waiting>>,
    /// How many may wait here.
    most: usize,
    slots: Box<[Slot]>,
    names: Box<[ServiceName]>,
    /// Their numbers, by where the names stand.
    numbers: HashMap<(usize, usize), usize, foldhash::fast::RandomState>,
    /// Written under the lock of what waits.
    signs: Box<[Sign]>,
    /// Whether anything may be on its way. Written under the lock of the state alone.
    is_open: AtomicBool,
    /// When something rings in the state, in nanoseconds from the start on. Written under the lock of the state.
    rings_at: AtomicU64,
    start: Instant,
}

/// What is to be known of a service by who does not hold the lock. Written when that changes, which is seldom where many
/// wait.
type Sign = Apart<AtomicU8>;

/// One that nobody has begun, with its place in the order in which they came.
type One = (u64, Came);

/// What has come. A call stands in as few lines of the cache as it can, since they are written by one core and read by
/// another; who runs it makes its invocation.
enum Came {
    Call(PlainCall),
    Made(Arc<Invocation>),
}

impl Came {
    #[inline]
    fn invocation(self, service: ServiceName) -> Arc<Invocation> {
        match self {
            Self::Call(call) => Arc::new(call.invocation(service)),
            Self::Made(invocation) => invocation,
        }
    }
}

/// What no worker has taken.
struct Waiting {
    is_open: bool,
    services: Box<[VecDeque<One>]>,
    /// The services of which some wait, in the order of their turns.
    turns: VecDeque<u32>,
    len: usize,
    /// How many have come, in all.
    order: u64,
}

/// What one worker has taken. Each stands in cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Slot {
    taken: Mutex<Taken>,
    /// How many are in hand; written under the lock.
    count: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Taken {
    /// Each with the number of its service.
    in_hand: VecDeque<(u32, One)>,
    /// The one that is run.
    current: Option<Begun>,
    /// The same once it has been entered.
    pub(super) entered: Option<Delivery>,
    /// What has come of those that were run.
    pub(super) rows: Rows,
}

impl Slot {
    pub(super) fn taken(&self) -> MutexGuard<'_, Taken> {
        lock(&self.taken)
    }

    fn count(&self, taken: &Taken) {
        self.count.store(taken.in_hand.len(), Ordering::Release);
    }
}

impl Taken {
    pub(super) fn take_current(&mut self) -> Option<Begun> {
        self.current.take()
    }
}

impl Waiting {
    fn push(&mut self, service: u32, came: Came, signs: &[Sign]) {
        let queue = &mut self.services[service as usize];
        if queue.is_empty() {
            self.turns.push_back(service);
            signs[service as usize].fetch_or(WAITS, Ordering::Relaxed);
        }
        queue.push_back((self.order, came));
        self.order += 1;
        self.len += 1;
    }

    fn put_back(&mut self, service: u32, one: One, signs: &[Sign]) {
        let queue = &mut self.services[service as usize];
        if queue.is_empty() {
            self.turns.push_front(service);
            signs[service as usize].fetch_or(WAITS, Ordering::Relaxed);
        }
        queue.push_front(one);
        self.len += 1;
    }

    fn pop(&mut self, signs: &[Sign]) -> Option<(u32, One)> {
        let service = self.turns.pop_front()?;
        let queue = &mut self.services[service as usize];
        let one = queue.pop_front()?;
        if queue.is_empty() {
            signs[service as usize].fetch_and(!WAITS, Ordering::Relaxed);
        } else {
            self.turns.push_back(service);
        }
        self.len -= 1;
        Some((service, one))
    }
}

impl Track {
    /// For so many workers, where so many may wait in all.
    pub(super) fn new(workers: usize, names: &[ServiceName], max_waiting: usize) -> Self {
        Self {
            waiting: Apart(Mutex::new(Waiting {
                is_open: false,
                services: names.iter().map(|_| VecDeque::new()).collect(),
                turns: VecDeque::new(),
                len: 0,
                order: 0,
            })),
            most: MOST_WAITING.min(max_waiting / 4),
            slots: (0..workers).map(|_| Slot::default()).collect(),
            names: names.into(),
            numbers: names.iter().enumerate().map(|(number, name)| (name.place(), number)).collect(),
            signs: names.iter().map(|_| Sign::default()).collect(),
            is_open: AtomicBool::new(false),
            rings_at: AtomicU64::new(NEVER),
            start: Instant::now(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// How many may wait here.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Whether anything may be on its way.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting().len == 0
    }

    pub(super) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
        self.waiting().is_open = true;
    }

    /// Lets nobody in any more; answers all that nobody has begun, in the order in which it came.
    pub(super) fn close(&self) -> impl ExactSizeIterator<Item = Arc<Invocation>> {
        self.is_open.store(false, Ordering::Relaxed);
        let mut waiting = self.waiting();
        waiting.is_open = false;
        let mut all = Vec::with_capacity(waiting.len);
        while let Some(one) = waiting.pop(&self.signs) {
            all.push(one);
        }
        drop(waiting);
        for slot in &self.slots {
            let mut taken = slot.taken();
            all.extend(taken.in_hand.drain(..));
            slot.count(&taken);
        }
        all.sort_unstable_by_key(|(_, (order, _))| *order);
        all.into_iter().map(|(service, (_, came))| came.invocation(self.names[service as usize]))
    }

    /// Something rings in the state then.
    pub(super) fn note_ring(&self, at: Option<Instant>) {
        let nanos =
            |at: Instant| u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(NEVER);
        let at = at.map_or(NEVER, nanos);
        if self.rings_at.load(Ordering::Relaxed) != at {
            self.rings_at.store(at, Ordering::Relaxed);
        }
    }

    /// Whether the state is to be looked at first.
    fn rings(&self) -> bool {
        let at = self.rings_at.load(Ordering::Relaxed);
        at != NEVER && self.start.elapsed() >= Duration::from_nanos(at)
    }

    /// Whether anything waits here of a service, or nothing of it may start.
    fn is_barred(&self, service: u32) -> bool {
        self.signs[service as usize].load(Ordering::Relaxed) != 0
    }

    fn is_paused(&self, service: u32) -> bool {
        self.signs[service as usize].load(Ordering::Relaxed) & PAUSED != 0
    }

    /// A name that reads the same may stand elsewhere.
    fn number(&self, service: &ServiceName) -> Option<usize> {
        let number = self.numbers.get(&service.place()).copied();
        number.or_else(|| self.names.iter().position(|name| name == service))
    }

    /// Whether anything waits here of a service.
    pub(super) fn has_waiting(&self, service: &ServiceName) -> bool {
        self.number(service).is_some_and(|service| self.signs[service].load(Ordering::Relaxed) & WAITS != 0)
    }

    pub(super) fn pause(&self, service: &ServiceName, paused: bool) {
        let Some(service) = self.number(service) else { return };
        let _waiting = self.waiting();
        if paused {
            self.signs[service].fetch_or(PAUSED, Ordering::Relaxed);
        } else {
            self.signs[service].fetch_and(!PAUSED, Ordering::Relaxed);
        }
    }

    pub(super) fn push(&self, service: u32, call: PlainCall) -> Result<(), PlainCall> {
        if call.payload.len() > FEW_BYTES {
            return Err(call);
        }
        let mut waiting = self.waiting();
        if !waiting.is_open || waiting.len >= self.most || self.is_paused(service) {
            return Err(call);
        }
        waiting.push(service, Came::Call(call), &self.signs);
        Ok(())
    }

    /// Answers how many were taken, and how many are left.
    pub(super) fn refill(&self, worker: usize, most: usize) -> (usize, usize) {
        if self.rings() {
            return (0, 0);
        }
        let slot = &self.slots[worker];
        let mut taken = slot.taken();
        let mut waiting = self.waiting();
        // A worker leaves half of what waits to the others: what it takes stands behind what it runs.
        let most = most.min(1 + waiting.len / 2);
        while taken.in_hand.len() < most
            && let Some(one) = waiting.pop(&self.signs)
        {
            taken.in_hand.push_back(one);
        }
        slot.count(&taken);
        (taken.in_hand.len(), waiting.len)
    }

    pub(super) fn begin(&self, worker: usize, now: Moment) -> Option<Plain> {
        let slot = &self.slots[worker];
        let mut taken = slot.taken();
        let (service, (_, came)) = taken.in_hand.pop_front()?;
        slot.count(&taken);
        let invocation = came.invocation(self.names[service as usize]);
        taken.current = Some(Begun { invocation: invocation.clone(), started_at: now });
        Some(Plain { invocation, service })
    }

    /// Answers whether the rows are to be handed over, too.
    pub(super) fn end(
        &self,
        worker: usize,
        response: Payload,
        at: Moment,
        follow: Follow<'_>,
    ) -> Result<(Option<Plain>, bool), Payload> {
        let mut taken = self.slots[worker].taken();
        let Taken { current, rows, .. } = &mut *taken;
        let Some(begun) = current else { return Err(response) };
        let (callback, waiting) = match follow(begun, response) {
            Follows::Barred(response) => return Err(response),
            Follows::Nothing(response) => {
                if !complete(rows, begun, &response, at) {
                    return Err(response);
                }
                *current = None;
                return Ok((None, rows.len() >= ROWS));
            }
            Follows::Callback(callback) => {
                // What waits goes first.
                let waiting = self.is_barred(callback.service).then(|| self.waiting());
                let is_closed = waiting
                    .as_ref()
                    .is_some_and(|waiting| !waiting.is_open || self.is_paused(callback.service));
                if is_closed || !complete(rows, begun, &callback.invocation.payload, at) {
                    return Err(Arc::unwrap_or_clone(callback.invocation).payload);
                }
                (callback, waiting)
            }
        };
        let next = if let Some(mut waiting) = waiting {
            waiting.push(callback.service, Came::Made(callback.invocation), &self.signs);
            None
        } else {
            Some(callback)
        };
        let begun = |callback: &Plain| Begun { invocation: callback.invocation.clone(), started_at: at };
        *current = next.as_ref().map(begun);
        Ok((next, rows.len() >= ROWS))
    }

    pub(super) fn in_hand(&self, worker: usize) -> usize {
        self.slots.get(worker).map_or(0, |slot| slot.count.load(Ordering::Acquire))
    }

    /// Puts back what a worker has in hand, before all else that waits; answers whether there was anything.
    pub(super) fn put_back(&self, worker: usize) -> bool {
        let slot = &self.slots[worker];
        let mut taken = slot.taken();
        let mut waiting = self.waiting();
        // Who closes the way takes it out of the hand.
        if !waiting.is_open || taken.in_hand.is_empty() {
            return false;
        }
        while let Some((service, one)) = taken.in_hand.pop_back() {
            waiting.put_back(service, one, &self.signs);
        }
        slot.count(&taken);
        true
    }
}

/// Writes down that one has completed; answers whether it could be.
#[inline]
fn complete(rows: &mut Rows, begun: &Begun, response: &Payload, ended_at: Moment) -> bool {
    let Begun { invocation, started_at } = begun;
    let started_at = Some(*started_at);
    rows.push(&Completed { invocation, response, attempts: 1, started_at, ended_at }, ROWS).is_some()
}
