//! How what passes by the state is taken, ended, and entered where somebody looks.

use std::sync::Arc;

use zato_core::{Invocation, Moment, Payload, ServiceName};

use super::engine::Memory;
use super::nowhere::Nowhere;
use super::rows::FEW_BYTES;
use super::taken::Over;
use super::track::Track;
use crate::engine::express::{Begun, Express, Follow, Passed, Plain, PlainCall, PlainMember, PutBack};
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
        for slot in track.slots() {
            let mut taken = slot.taken();
            state.store.take_passed(&mut taken.rows);
            members.extend(taken.members.take_all());
            if let Some(Begun { invocation, started_at }) = taken.take_current() {
                taken.entered = Some(state.take_started(invocation, started_at));
            }
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

    /// Opens the way, or closes it. Called whenever the state is released.
    pub(super) fn let_pass_or_not(&self, state: &mut State<Nowhere>) {
        let Some(track) = self.track.get() else { return };
        track.note_ring(state.next_ring());
        let (waiting, running) = (track.most(), track.slots().len());
        match (track.is_open(), state.lets_pass(waiting, waiting * FEW_BYTES, running)) {
            (false, true) => track.open(),
            (true, false) => self.enter_passing(state),
            _ => {}
        }
    }
}

impl Express for Memory {
    fn set_up(&self, workers: usize, services: &[(ServiceName, bool)]) {
        let state = self.state();
        // Once: whoever comes second finds it set up.
        let _ = self.track.set(Track::new(workers, services, self.max_waiting));
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

    fn refill(&self, worker: usize, most: usize) -> usize {
        let (taken, left) = self.track.get().map_or((0, 0), |track| track.refill(worker, most));
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
        let Over { next, has_many, group } = track.end(worker, response, at, follow)?;
        if has_many {
            let mut state = self.state();
            state.store.take_passed(&mut track.slots()[worker].taken().rows);
            state.forget_oldest_ended();
        }
        Ok(Passed { next, joined: group.and_then(|group| self.join_passed(group)) })
    }

    fn promote(&self, worker: usize) -> Option<Delivery> {
        let (mut state, track) = (self.state(), self.track.get()?);
        let mut taken = track.slots()[worker].taken();
        if let Some(entered) = taken.entered.take() {
            return Some(entered);
        }
        let Begun { invocation, started_at } = taken.take_current()?;
        let group = invocation.slot.and_then(|slot| {
            let untold = taken.untold.take().map_or(0, |(_, untold)| untold);
            track.leave(slot.group, untold + 1)
        });
        drop(taken);
        let delivery = state.take_started(invocation, started_at);
        if let Some(group) = group {
            // All others that were on their way have ended there.
            state.enter_ended();
            state.enter_members(track.take_members(group));
        }
        Some(delivery)
    }

    fn in_hand(&self, worker: usize) -> usize {
        self.track.get().map_or(0, |track| track.in_hand(worker))
    }

    fn put_back(&self, worker: usize) -> Option<PutBack> {
        let (was_any, group) = self.track.get()?.put_back(worker);
        if !was_any {
            return None;
        }
        self.wake_worker();
        Some(PutBack { joined: group.and_then(|group| self.join_passed(group)) })
    }
}
