//! How what passes by the state is taken, ended, and entered where somebody looks.

use std::any::Any;
use std::sync::Arc;

use zato_core::{Invocation, Moment, Payload, ServiceName};

use super::engine::Memory;
use super::nowhere::Nowhere;
use super::outside::Outside;
use super::rows::FEW_BYTES;
use super::taken::Over;
use super::told::{Last, Untold};
use super::track::Track;
use crate::engine::express::{
    Begun, Express, Follow, Given, OnEntered, Passed, Place, Plain, PlainCall, PlainMember, PutBack, SetOut,
};
use crate::engine::state::{Node, State};
use crate::record::Delivery;

impl State<Nowhere> {
    /// Enters all that has completed on its way, in the order in which it has.
    pub(super) fn enter_ended(&mut self) {
        while let Some((cid, above)) = self.store.next_to_enter() {
            let place = self.held.place_of(cid);
            let Some(number) = self.store.enter(place) else { return };
            self.held.put(place, Node::Kept(number));
            self.link(place, above, None);
        }
        self.forget_surplus();
    }

    /// Forgets what is remembered beyond what is to be, entered or not.
    pub(super) fn forget_oldest_ended(&mut self) {
        self.forget_surplus();
        while self.store.forget_passed() {}
    }
}

impl Memory {
    /// Whether anything may be on its way.
    pub(super) fn is_passable(&self) -> bool {
        self.track.get().is_some_and(Track::is_open)
    }

    /// Whether anything on its way waits for a worker.
    pub(super) fn has_passing(&self) -> bool {
        self.track.get().is_some_and(|track| !track.is_empty())
    }

    pub(super) fn pause_passing(&self, service: &ServiceName, paused: bool) {
        if let Some(track) = self.track.get() {
            track.pause(service, paused);
        }
    }

    /// Enters all that is on its way, or has come of it, and closes the way.
    pub(super) fn enter_passing(&self, state: &mut State<Nowhere>) {
        let Some(track) = self.track.get().filter(|track| track.is_open()) else { return };
        let (waiting, mut members) = (track.close(), Vec::new());
        for slot in &track.slots {
            let mut taken = slot.taken();
            let current = taken.take_current();
            state.store.take_passed(&mut taken.rows);
            members.extend(taken.members.take_all());
            if let Some(Begun { invocation, started_at }) = current {
                taken.entered = Some(state.take_started(invocation, started_at));
            }
            let enter = |begun: &Begun| state.take_started(begun.invocation.clone(), begun.started_at);
            track.came_in(taken.outside.enter(enter, &*track.on_entered));
        }
        state.beside = (0, 0);
        // Whatever ends in the state from now on has ended later.
        state.enter_ended();
        let before = state.last_number;
        for invocation in waiting {
            state.hold(invocation, None);
        }
        state.enter_members(members);
        if state.last_number > before {
            self.wake_worker();
        }
    }

    /// What is to be done once one has ended on its way.
    #[inline]
    fn over(&self, track: &Track, worker: usize, over: Over) -> Passed {
        let Over { next, has_many, last } = over;
        if has_many {
            let mut state = self.state();
            state.store.take_passed(&mut track.slots[worker].taken().rows);
            state.forget_oldest_ended();
        }
        Passed { next, joined: last.and_then(|last| self.join_passed(last)) }
    }

    /// Enters one that goes on in the state, and the members of a group of which no other is on its way.
    fn take_over(&self, state: &mut State<Nowhere>, begun: Begun, last: Option<Last>) -> Delivery {
        let delivery = state.take_started(begun.invocation, begun.started_at);
        if let (Some(last), Some(track)) = (last, self.track.get()) {
            state.enter_ended();
            state.enter_members(track.take_members(last.group));
        }
        delivery
    }

    /// Opens the way, or closes it. Called whenever the state is released.
    pub(super) fn let_pass_or_not(&self, state: &mut State<Nowhere>) {
        let Some(track) = self.track.get() else { return };
        track.note_ring(state.next_ring());
        let (waiting, running) = (track.most(), track.slots.len());
        let lets_pass = state.lets_pass(waiting, waiting * FEW_BYTES, running + track.outside());
        track.let_outside(state.max_running.saturating_sub(state.running + running));
        match (track.is_open(), lets_pass) {
            (false, true) => track.open(),
            (true, false) => self.enter_passing(state),
            _ => {}
        }
    }
}

impl Express for Memory {
    fn set_up(&self, workers: usize, services: &[(ServiceName, bool)], on_entered: Box<OnEntered>) {
        let state = self.state();
        // Once: whoever comes second finds it set up.
        let _ = self.track.set(Track::new(workers, services, self.max_waiting, on_entered));
        drop(state);
    }

    fn push(&self, service: u32, call: PlainCall) -> Result<(), PlainCall> {
        match self.track.get() {
            Some(track) => track.push(service, call)?,
            None => return Err(call),
        }
        self.wake_worker();
        Ok(())
    }

    fn push_group(&self, group: &Arc<Invocation>, members: Vec<PlainMember>) -> Result<(), Vec<PlainMember>> {
        self.take_passing(group, members)
    }

    fn take(&self, worker: usize, most: usize, now: Moment) -> Given {
        let (taken, left) =
            self.track.get().map_or_else(Default::default, |track| track.take(worker, most, now));
        if left > 0 {
            // Whoever starts some of many wakes the next.
            self.wake_worker();
        }
        taken
    }

    fn begin(&self, worker: usize, now: Moment) -> Option<Plain> {
        self.track.get()?.begin(worker, now)
    }

    fn end(
        &self,
        worker: usize,
        response: Payload,
        at: Moment,
        follow: Follow<'_>,
    ) -> Result<Passed, Payload> {
        let Some(track) = self.track.get() else { return Err(response) };
        let over = track.end(worker, response, at, follow)?;
        Ok(self.over(track, worker, over))
    }

    fn set_out(&self, worker: usize, whom: Arc<dyn Any + Send + Sync>) -> Option<SetOut> {
        let (place, last) = self.track.get()?.set_out(worker, whom)?;
        Some(SetOut { place, joined: last.and_then(|last| self.join_passed(last)) })
    }

    fn end_outside(
        &self,
        place: Place,
        response: Payload,
        at: Moment,
        follow: Follow<'_>,
    ) -> Result<Passed, Payload> {
        let Some(track) = self.track.get() else { return Err(response) };
        let over = track.end_outside(place, response, at, follow)?;
        // Its callback waits, if it has one.
        self.wake_worker();
        Ok(self.over(track, place.worker, over))
    }

    fn promote_outside(&self, place: Place) -> Option<Delivery> {
        let (mut state, track) = (self.state(), self.track.get()?);
        let taken = track.slots[place.worker].taken().outside.take(place.number)?;
        match taken {
            Outside::Entered(delivery) => Some(delivery),
            Outside::Passes(begun, _) => {
                track.came_in(1);
                let last = begun.invocation.slot.and_then(|slot| track.leave(Untold::one(slot.group)));
                Some(self.take_over(&mut state, begun, last))
            }
        }
    }

    fn promote(&self, worker: usize) -> Option<Delivery> {
        let (mut state, track) = (self.state(), self.track.get()?);
        let mut taken = track.slots[worker].taken();
        if let Some(entered) = taken.entered.take() {
            return Some(entered);
        }
        let Begun { invocation, started_at } = taken.take_current()?;
        let last = invocation.slot.and_then(|slot| {
            let untold = taken.untold.take();
            track.leave(untold.map_or_else(|| Untold::one(slot.group), Untold::and_one))
        });
        drop(taken);
        Some(self.take_over(&mut state, Begun { invocation, started_at }, last))
    }

    fn in_hand(&self, worker: usize) -> usize {
        self.track.get().map_or(0, |track| track.in_hand(worker))
    }

    fn put_back(&self, worker: usize) -> Option<PutBack> {
        let (was_any, last) = self.track.get()?.put_back(worker);
        if !was_any {
            return None;
        }
        self.wake_worker();
        Some(PutBack { joined: last.and_then(|last| self.join_passed(last)) })
    }
}
