//! Where plain invocations are on their way past the state: in a queue, in the hands of workers, and as rows of what has
//! come of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;
use zato_core::{Cid, Invocation, Moment, Payload, ServiceName, Slot as Seat};

use super::in_hand::{Came, InHand, Untaken};
use super::outside::Counted;
use super::rows::{FEW_BYTES, Rows};
use super::taken::{Over, ROWS, Slot, Taken};
use super::told::{Groups, Last, Untold};
use super::waiting::{self, PAUSED, Sign, WAITS, Waiting};
use crate::apart::Apart;
use crate::engine::express::{Begun, Follow, Follows, Given, OnEntered, Plain, PlainCall, PlainMember};
use crate::lock::lock;

/// How many wait here at the most: whoever looks enters all of them, at less than a microsecond each.
const MOST_WAITING: usize = 10_000;

/// No timer rings.
const NEVER: u64 = u64::MAX;

pub(super) struct Track {
    waiting: Apart<Mutex<Waiting>>,
    /// Locked after all others here.
    groups: Apart<Mutex<Groups>>,
    /// How many may wait here.
    most: usize,
    pub(super) slots: Box<[Slot]>,
    names: Box<[ServiceName]>,
    /// Their numbers, by where the names stand.
    numbers: HashMap<(usize, usize), usize, foldhash::fast::RandomState>,
    /// Whether invocations of them may be on their way.
    are_plain: Box<[bool]>,
    /// Written under the lock of what waits.
    pub(super) signs: Box<[Sign]>,
    /// Whether anything may be on its way. Written under the lock of the state alone.
    is_open: AtomicBool,
    /// Whether more may wait than room is kept for.
    has_beside: AtomicBool,
    pub(super) outside: Apart<Counted>,
    /// Hears of what goes on by itself and is entered.
    pub(super) on_entered: Box<OnEntered>,
    /// When something rings in the state, in nanoseconds from the start on. Written under the lock of the state.
    rings_at: AtomicU64,
    start: Instant,
}

impl Track {
    /// For so many workers, where so many may wait in all.
    pub(super) fn new(
        workers: usize,
        services: &[(ServiceName, bool)],
        max_waiting: usize,
        on_entered: Box<OnEntered>,
    ) -> Self {
        let names = || services.iter().map(|(name, _)| *name);
        Self {
            waiting: Apart(Mutex::new(Waiting::new(services.len()))),
            groups: Apart::default(),
            most: MOST_WAITING.min(max_waiting / 4),
            slots: (0..workers).map(|_| Slot::default()).collect(),
            names: names().collect(),
            numbers: names().enumerate().map(|(number, name)| (name.place(), number)).collect(),
            are_plain: services.iter().map(|(_, is_plain)| *is_plain).collect(),
            signs: names().map(|_| Sign::default()).collect(),
            is_open: AtomicBool::new(false),
            has_beside: AtomicBool::new(false),
            outside: Apart::default(),
            on_entered,
            rings_at: AtomicU64::new(NEVER),
            start: Instant::now(),
        }
    }

    #[inline]
    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
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
    pub(super) fn close(&self) -> impl Iterator<Item = Arc<Invocation>> {
        self.is_open.store(false, Ordering::Relaxed);
        let mut waiting = self.waiting();
        waiting.is_open = false;
        let mut all = Vec::with_capacity(waiting.len);
        let mut hand = InHand::default();
        while waiting.pop(&mut hand) {}
        all.extend(hand.drain(&self.names));
        drop(waiting);
        self.has_beside.store(false, Ordering::Relaxed);
        for slot in &self.slots {
            let mut taken = slot.taken();
            all.extend(taken.in_hand.drain(&self.names));
            taken.untold = None;
            slot.count(&taken);
        }
        lock(&self.groups).clear();
        all.sort_unstable_by_key(|(_, (order, _))| *order);
        all.into_iter().filter_map(|(service, (_, came))| came.invocation(self.names[service as usize]))
    }

    /// How many wait that room is not kept for, and how many bytes of payload they have.
    pub(super) fn beside(&self) -> (usize, usize) {
        if self.has_beside.load(Ordering::Relaxed) { self.waiting().beside() } else { (0, 0) }
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

    /// What waits, where any of it is of a service, or nothing of that may start.
    #[inline]
    fn barred(&self, service: u32) -> Option<MutexGuard<'_, Waiting>> {
        let sign = &self.signs[service as usize];
        if sign.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let waiting = self.waiting();
        waiting::set(sign, WAITS, waiting.has(service));
        (sign.load(Ordering::Relaxed) != 0).then_some(waiting)
    }

    #[inline]
    pub(super) fn is_paused(&self, service: u32) -> bool {
        self.signs[service as usize].load(Ordering::Relaxed) & PAUSED != 0
    }

    /// A name that reads the same may stand elsewhere.
    fn number(&self, service: &ServiceName) -> Option<usize> {
        let number = self.numbers.get(&service.place()).copied();
        number.or_else(|| self.names.iter().position(|name| name == service))
    }

    /// Whether anything waits here of a service.
    pub(super) fn has_waiting(&self, service: &ServiceName) -> bool {
        let number = self.number(service).and_then(|number| u32::try_from(number).ok());
        number.is_some_and(|service| self.barred(service).is_some_and(|waiting| waiting.has(service)))
    }

    pub(super) fn pause(&self, service: &ServiceName, paused: bool) {
        let Some(service) = self.number(service) else { return };
        let _waiting = self.waiting();
        waiting::set(&self.signs[service], PAUSED, paused);
    }

    #[inline]
    pub(super) fn push(&self, service: u32, call: PlainCall) -> Result<(), PlainCall> {
        if call.payload.len() > FEW_BYTES {
            return Err(call);
        }
        let mut waiting = self.waiting();
        if !waiting.is_open || waiting.len - waiting.beside().0 >= self.most || self.is_paused(service) {
            return Err(call);
        }
        waiting.push(service, Came::Call(call), &self.signs);
        Ok(())
    }

    /// An invocation that asks for nothing but to be run, if it may be on its way.
    pub(super) fn plain(&self, invocation: &Arc<Invocation>) -> Option<Plain> {
        let number = self.number(&invocation.service).filter(|number| self.are_plain[*number])?;
        let service = u32::try_from(number).ok().filter(|_| Plain::is_one(invocation))?;
        Some(Plain { invocation: invocation.clone(), service })
    }

    /// Takes what follows from a group, if it may; answers whether it has.
    pub(super) fn push_beside(&self, all: &[Plain]) -> bool {
        let mut waiting = self.waiting();
        if !waiting.is_open || all.iter().any(|one| self.is_paused(one.service)) {
            return false;
        }
        for Plain { invocation, service } in all {
            waiting.push(*service, Came::beside(invocation.clone()), &self.signs);
        }
        self.has_beside.store(true, Ordering::Relaxed);
        true
    }

    /// Whether all of these may be on their way, which is open.
    pub(super) fn takes(&self, members: &[PlainMember]) -> bool {
        let takes =
            |member: &PlainMember| member.payload.len() <= FEW_BYTES && !self.is_paused(member.service);
        members.iter().all(takes)
    }

    /// Takes the members of a group that may be, and for which room has been found.
    pub(super) fn push_members(&self, group: Cid, members: Vec<PlainMember>) {
        lock(&self.groups).enter(group, u32::try_from(members.len()).unwrap_or(u32::MAX));
        let mut waiting = self.waiting();
        match members.first().map(|first| first.service) {
            Some(service) if members.iter().all(|member| member.service == service) => {
                let members = Came::Members(Box::new(Untaken::new(group, members)));
                waiting.push(service, members, &self.signs);
            }
            _ => {
                for (index, member) in (0..).zip(members) {
                    let service = member.service;
                    let invocation = member.invocation(self.names[service as usize], Seat { group, index });
                    waiting.push(service, Came::beside(Arc::new(invocation)), &self.signs);
                }
            }
        }
        self.has_beside.store(true, Ordering::Relaxed);
    }

    /// Members of a group are on their way no more; answers with it if none is.
    pub(super) fn leave(&self, untold: Untold) -> Option<Last> {
        Groups::leave(&self.groups, untold).0
    }

    /// Answers as well how many are left.
    pub(super) fn take(&self, worker: usize, most: usize, now: Moment) -> (Given, usize) {
        if self.rings() {
            return Default::default();
        }
        let slot = &self.slots[worker];
        let mut taken = slot.taken();
        let mut waiting = self.waiting();
        // A worker leaves half of what waits to the others: what it takes stands behind what it runs.
        let most = most.min(1 + waiting.len / 2);
        while taken.in_hand.len() < most && waiting.pop(&mut taken.in_hand) {}
        if waiting.beside().0 == 0 && self.has_beside.load(Ordering::Relaxed) {
            self.has_beside.store(false, Ordering::Relaxed);
        }
        let left = waiting.len;
        drop(waiting);
        let count = taken.in_hand.len();
        (Given { first: self.begin_next(slot, &mut taken, now), count }, left)
    }

    #[inline]
    pub(super) fn begin(&self, worker: usize, now: Moment) -> Option<Plain> {
        let slot = &self.slots[worker];
        self.begin_next(slot, &mut slot.taken(), now)
    }

    #[inline]
    fn begin_next(&self, slot: &Slot, taken: &mut Taken, now: Moment) -> Option<Plain> {
        let (service, invocation) = taken.in_hand.next(&self.names)?;
        slot.count(taken);
        taken.current = Some(Begun { invocation: invocation.clone(), started_at: now });
        Some(Plain { invocation, service })
    }

    #[inline]
    pub(super) fn end(
        &self,
        worker: usize,
        response: Payload,
        at: Moment,
        follow: Follow<'_>,
    ) -> Result<Over, Payload> {
        let mut taken = self.slots[worker].taken();
        let Some(begun) = &taken.current else { return Err(response) };
        let next = match follow(begun, response) {
            Follows::Barred(response) => return Err(response),
            Follows::Nothing(response) => {
                if !taken.complete(&response, at) {
                    return Err(response);
                }
                None
            }
            Follows::Callback(callback) => {
                // What waits goes first.
                let waiting = self.barred(callback.service);
                let is_closed = waiting
                    .as_ref()
                    .is_some_and(|waiting| !waiting.is_open || self.is_paused(callback.service));
                let response = &callback.invocation.payload;
                let completes = !is_closed
                    && match waiting {
                        Some(_) => taken.complete(response, at),
                        None => taken.answer(response, at),
                    };
                if !completes {
                    return Err(Arc::unwrap_or_clone(callback.invocation).payload);
                }
                match waiting {
                    Some(mut waiting) => {
                        waiting.push(callback.service, Came::Made(callback.invocation), &self.signs);
                        None
                    }
                    None => Some(callback),
                }
            }
        };
        let begun = |next: &Plain| Begun { invocation: next.invocation.clone(), started_at: at };
        taken.current = next.as_ref().map(begun);
        let last = if taken.untold.is_some() { self.tell(&mut taken) } else { None };
        Ok(Over { next, has_many: taken.rows.len() >= ROWS, last })
    }

    /// Tells of members of a group that have ended, unless another of it is run next: whatever else is may take its time.
    pub(super) fn tell(&self, taken: &mut Taken) -> Option<Last> {
        let group = taken.untold.as_ref()?.group;
        if taken.current.is_none() && taken.in_hand.next_group() == Some(group) {
            return None;
        }
        let (last, empty) = Groups::leave(&self.groups, taken.untold.take()?);
        taken.empty = empty;
        last
    }

    /// Takes what has come of the members of a group.
    pub(super) fn take_members(&self, group: Cid) -> Vec<Rows> {
        self.slots.iter().flat_map(|slot| slot.taken().members.take(group)).collect()
    }

    pub(super) fn in_hand(&self, worker: usize) -> usize {
        self.slots.get(worker).map_or(0, |slot| slot.count.load(Ordering::Acquire))
    }

    /// Puts back what a worker has in hand, before all else that waits; answers whether there was anything, and with
    /// the group of which it had run the last member.
    pub(super) fn put_back(&self, worker: usize) -> (bool, Option<Last>) {
        let slot = &self.slots[worker];
        let mut taken = slot.taken();
        let mut waiting = self.waiting();
        // Who closes the way takes it out of the hand.
        if !waiting.is_open || taken.in_hand.len() == 0 {
            return (false, None);
        }
        let mut all: Vec<_> = taken.in_hand.drain(&self.names).collect();
        all.sort_unstable_by_key(|(_, (order, _))| *order);
        for (service, one) in all.into_iter().rev() {
            waiting.put_back(service, one, &self.signs);
        }
        slot.count(&taken);
        drop(waiting);
        // Whoever runs another of that group will say so.
        (true, if taken.current.is_none() { self.tell(&mut taken) } else { None })
    }
}
