//! Concurrency keys of held invocations: they are taken, and passed on at the end.

use zato_core::{Cid, Invocation, ServiceName};

use super::entry::{Entry, Waiting};
use super::lanes::{Entered, HadKey, Next};
use super::place::Ticket;
use super::state::State;
use super::store::Store;
use super::table::Table;
use super::times::key_of;
use crate::engine::contract::StoreFault;

/// How many are read at once of those that come next in a lane.
const PAGE: usize = 16;

/// How many are looked at first where one is enough: the others may have ended.
const FEW: usize = 2;

impl<S: Store> State<S> {
    /// Has one that is new stand in the lane of its key, if it has one.
    pub(in crate::engine) fn enter_lane(
        &mut self,
        service: u32,
        invocation: &Invocation,
        ticket: Ticket,
    ) -> Entered {
        let Some(key) = key_of(invocation) else { return Entered::First };
        let most = if S::WRITES_DOWN { self.queues.window } else { usize::MAX };
        // Where all that may start of a service is held, so is the first of every lane that has one.
        let may_be_there = S::WRITES_DOWN && (self.queues.has_beyond(service) || !self.has_mended);
        let name = self.queues.names[service as usize];
        let mut is_unknown = false;
        let is_there = || {
            let found = if may_be_there { stands_in(&self.store, &self.held, &name, key) } else { Ok(false) };
            is_unknown = found.is_err();
            found.unwrap_or(true)
        };
        let entered = self.queues.services[service as usize].lanes.enter(key, ticket, most, is_there);
        if is_unknown {
            self.mend_later(service, key);
        }
        entered
    }

    /// Gives the concurrency key of an invocation that has ended to the one that waits for it.
    pub(in crate::engine) fn leave_lane(&mut self, invocation: &Invocation) {
        let Some(key) = key_of(invocation) else { return };
        let (service, cid) = (self.queues.number(&invocation.service), invocation.cid);
        let held = &self.held;
        // It may be held as waiting until its end has been entered.
        let waits = |ticket: &Ticket| ticket.cid != cid && held.waits_under(ticket);
        match self.queues.services[service as usize].lanes.leave(key, cid, waits) {
            HadKey::No => {}
            HadKey::Yes { was_held_back } => {
                if was_held_back {
                    self.let_lane_go(service, invocation);
                }
                self.advance(service, key);
            }
        }
    }

    /// Gives a key that nobody has to the one that waits for it.
    fn advance(&mut self, service: u32, key: &str) {
        loop {
            let held = &self.held;
            let waits = |ticket: &Ticket| held.waits_under(ticket);
            match self.queues.services[service as usize].lanes.advance(key, waits) {
                Next::Nobody => return,
                Next::First(next) => {
                    self.store.has_key(next.cid);
                    self.line_up_now(next);
                    return;
                }
                Next::Ask => {
                    if !self.read_lane(service, key) {
                        self.mend_later(service, key);
                        return;
                    }
                }
            }
        }
    }

    /// Reads who comes next in a lane. Answers whether that could be read.
    fn read_lane(&mut self, service: u32, key: &str) -> bool {
        let name = self.queues.names[service as usize];
        let most = self.queues.of(service).lanes.room(self.queues.window).clamp(1, PAGE);
        let (mut next, mut after, mut is_all) = (Vec::new(), 0, false);
        while next.is_empty() && !is_all {
            let Ok(page) = self.store.lane(&name, key, after, most) else { return false };
            is_all = page.len() < most;
            for (number, left) in page {
                after = number;
                let cid = left.invocation.cid;
                match self.held.get(&cid) {
                    Some(Entry::Waiting(Waiting { number, .. })) => {
                        let (number, place) = (*number, self.held.place_of(cid));
                        next.push(Ticket { number, cid, place });
                    }
                    // It has ended, and that is on its way to the disk.
                    Some(_) => {}
                    None => next.push(self.hold_again(left)),
                }
            }
        }
        let held = &self.held;
        let waits = |ticket: &Ticket| held.waits_under(ticket);
        self.queues.services[service as usize].lanes.extend(key, &next, is_all, waits);
        true
    }

    /// Nobody may have this key, although somebody waits for it: its process died while the one that had it lingered,
    /// or it could not be read who is next.
    pub(in crate::engine) fn mend_lane(&mut self, service: u32, key: &str) {
        let name = self.queues.names[service as usize];
        match self.store.lane_members(&name, key, 0, PAGE) {
            Ok(oldest) => {
                let stands = |cid: &Cid| !self.held.get(cid).is_some_and(Entry::has_ended);
                let has_head = oldest.iter().any(|member| member.has_key && stands(&member.cid));
                let lanes = &mut self.queues.of_mut(service).lanes;
                if !has_head && lanes.find_headless(key) {
                    self.advance(service, key);
                } else {
                    lanes.drop_empty(key);
                }
            }
            Err(_) => self.mend_later(service, key),
        }
    }

    /// The same for one that is named.
    pub(in crate::engine) fn mend_lane_of(&mut self, service: &ServiceName, key: &str) {
        let service = self.queues.number(service);
        self.mend_lane(service, key);
    }

    /// Who has a key, where that is written down alone.
    pub(in crate::engine) fn head_of(&self, service: u32, key: &str) -> Option<Cid> {
        let name = &self.queues.names[service as usize];
        let oldest = self.store.lane_members(name, key, 0, PAGE).ok()?;
        oldest.iter().find(|member| member.has_key).map(|member| member.cid)
    }

    /// It could not be read who stands in a lane.
    fn mend_later(&mut self, service: u32, key: &str) {
        self.is_to_mend |= self.keyless_lanes.is_empty();
        self.keyless_lanes.push((service, key.into()));
    }

    /// Tries again what could not be read.
    pub(in crate::engine) fn mend_lanes(&mut self) {
        for (service, key) in std::mem::take(&mut self.keyless_lanes) {
            self.mend_lane(service, &key);
        }
    }
}

/// Whether something stands in a lane that is written down and has not ended.
fn stands_in<S: Store>(
    store: &S,
    held: &Table,
    service: &ServiceName,
    key: &str,
) -> Result<bool, StoreFault> {
    let (mut after, mut most) = (0, FEW);
    loop {
        let page = store.lane_members(service, key, after, most)?;
        if page.iter().any(|member| !held.get(&member.cid).is_some_and(Entry::has_ended)) {
            return Ok(true);
        }
        match page.last() {
            Some(last) if page.len() == most => (after, most) = (last.number, 2 * most),
            _ => return Ok(false),
        }
    }
}
