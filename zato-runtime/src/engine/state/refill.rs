//! Moves invocations that wait on disk only back into their queues.
//!
//! Where a store writes everything down, a queue that is full, or whose service nothing starts of, takes no more: what
//! comes then is *beyond*. So is what stands behind others in the lane of its key, once enough do that are held, and what
//! is not due yet, once enough timers are set. It is held until it is written as it stands, and then let go of.

use std::time::SystemTime;

use zato_core::{Cid, Invocation};

use super::entry::{BlockedBy, Entry, Waiting};
use super::place::Ticket;
use super::queues::Unwritten;
use super::spill_reads::{ExpiryPage, ReadRequest, SpillPage};
use super::state::State;
use super::store::Pending;
use super::store::Store;
use super::times::key_of;
use super::times::{ends_at, starts_at};

impl<S: Store> State<S> {
    /// Puts one that may start now into its service's queue, or beyond it.
    pub(in crate::engine) fn take_place(
        &mut self,
        service: u32,
        invocation: &Invocation,
        ticket: Ticket,
    ) -> BlockedBy {
        // Nothing is read again once a shutdown has begun.
        let stays = || self.starts_nothing && self.store.is_in_memory(invocation);
        if S::WRITES_DOWN && !self.queues.has_room(service, invocation) && !stays() {
            self.push_beyond(service, invocation, ticket);
            return BlockedBy::Beyond;
        }
        self.queues.push(service, invocation, ticket);
        if S::WRITES_DOWN
            && let Some(last) = self.queues.pop_surplus(service)
            && let Some(waiting) = self.still_waiting(last).filter(|waiting| waiting.hold == BlockedBy::Turn)
        {
            let invocation = waiting.invocation.clone();
            self.set_hold(last.cid, BlockedBy::Beyond);
            self.push_beyond(service, &invocation, last);
        }
        BlockedBy::Turn
    }

    /// Puts one beyond its queue. That it may start now may be on its way to the disk.
    fn push_beyond(&mut self, service: u32, invocation: &Invocation, ticket: Ticket) {
        if self.store.is_in_memory(invocation) {
            let position = self.position(service, invocation, ticket);
            self.queues.keep_beyond(service, position, ticket);
            return;
        }
        let number = self.next_number();
        self.queues.push_beyond(service, invocation, ticket, number);
    }

    /// One that is not to be in its queue need not be held once it is written as it stands.
    pub(in crate::engine) fn let_go_later(&mut self, ticket: Ticket) {
        let number = self.next_number();
        self.leaving.0.push_back((number, ticket));
    }

    /// All that was numbered up to this is written down: what is beyond need not be held.
    pub(in crate::engine) fn let_go(&mut self, number: u64) {
        let mut gone = Vec::new();
        self.queues.written(number, |ticket| gone.push(ticket));
        while let Some((_, ticket)) = self.leaving.0.pop_front_if(|(at, _)| *at <= number) {
            gone.push(ticket);
        }
        if gone.is_empty() {
            return;
        }
        let now = self.clock.system_time();
        for ticket in gone {
            self.let_one_go(ticket, now);
        }
        self.clear_void();
    }

    fn let_one_go(&mut self, ticket: Ticket, now: SystemTime) {
        let Some(Waiting { invocation, before, service, hold, .. }) = self.still_waiting(ticket) else {
            return;
        };
        if self.store.is_in_memory(invocation) {
            return;
        }
        let (invocation, before, service, hold) = (invocation.clone(), before.clone(), *service, *hold);
        let ends = ends_at(&invocation, before.is_some());
        if ends.is_some_and(|ends| ends <= now) {
            return;
        }
        match hold {
            BlockedBy::Beyond | BlockedBy::Due => {
                if let Some(key) = key_of(&invocation) {
                    self.queues.of_mut(service).lanes.let_first_go(key, ticket.cid);
                }
                if let (BlockedBy::Due, Some(due)) = (hold, starts_at(&invocation, before.as_deref())) {
                    self.queues.is_due_beyond(service, due);
                }
            }
            BlockedBy::Key => {
                let table = &self.held;
                let waits = |ticket: &Ticket| table.waits_under(ticket);
                let lanes = &mut self.queues.services[service as usize].lanes;
                if !key_of(&invocation).is_some_and(|key| lanes.written(key, ticket, waits)) {
                    return;
                }
            }
            _ => return,
        }
        if let Some(ends) = ends {
            self.expiry_cursor.note(ends);
        }
        self.log_removed(ticket.cid);
        self.forget(ticket.cid);
    }

    /// One is about to be held no longer.
    pub(in crate::engine) fn log_removed(&mut self, cid: Cid) {
        if self.race_log.is_kept() {
            let number = self.next_number();
            self.race_log.gone.insert(cid, number);
        }
    }

    /// Holds one again that was let go of: beyond its queue, or in the lane of its key; or has it ended.
    pub(in crate::engine) fn hold_again(&mut self, left: Pending) -> Ticket {
        let Pending {
            invocation,
            before,
            ran,
            was_draining,
            max_losses,
            is_cancelled,
            is_behind,
            hidden_by,
            ..
        } = left;
        let before = match ran {
            None => before,
            Some((number, since)) => {
                let ran = (number, since);
                Some(self.lost(&invocation, before.as_deref(), max_losses, ran, was_draining))
            }
        };
        let (ticket, service) = (self.ticket(invocation.cid), self.queues.number(&invocation.service));
        if let Some(by) = hidden_by {
            self.hidden.insert(invocation.cid, by);
        }
        self.set_timers(ticket, &invocation, Some(invocation.called_at.into()));
        let lanes = &mut self.queues.of_mut(service).lanes;
        let stands_first = !is_behind && key_of(&invocation).is_none_or(|key| lanes.enter_again(key, ticket));
        let hold = if stands_first { BlockedBy::Beyond } else { BlockedBy::Key };
        let waiting = Waiting { invocation, before, number: ticket.number, service, hold };
        self.held.insert(ticket.cid, Entry::Waiting(waiting));
        self.end_unless_it_runs(ticket, is_cancelled);
        ticket
    }

    /// Gives one that is beyond its queue a place in it.
    pub(super) fn move_up(&mut self, ticket: Ticket) {
        let Some(waiting) = self.still_waiting(ticket).filter(|waiting| waiting.hold == BlockedBy::Beyond)
        else {
            return;
        };
        let (invocation, service) = (waiting.invocation.clone(), waiting.service);
        self.set_hold(ticket.cid, BlockedBy::Turn);
        self.queues.push(service, &invocation, ticket);
    }

    /// Puts into its queue what was read of what waits for a service, since [`News`] are kept.
    pub(in crate::engine) fn refill(&mut self, service: u32, line: SpillPage) {
        let (mut is_all, mut in_the_way, mut last) = (line.is_all, 0, None);
        for left in line.first {
            let cid = left.invocation.cid;
            last = Some(self.queues.priority(service, &left.invocation));
            if !self.queues.comes_first(service, &left.invocation) {
                is_all = false;
                break;
            }
            self.move_up_until(service, Some(self.position_of(service, &left)));
            if self.race_log.has_gone(cid, line.since) {
                continue;
            }
            match self.held.get(&cid) {
                Some(Entry::Waiting(Waiting { hold: BlockedBy::Turn, .. })) => {}
                Some(Entry::Waiting(Waiting { number, hold: BlockedBy::Beyond, .. })) => {
                    let (number, place) = (*number, self.held.place_of(cid));
                    self.move_up(Ticket { number, cid, place });
                }
                Some(_) => in_the_way += 1,
                None => self.restore(left),
            }
        }
        self.race_log.drop();
        // What is not written yet comes after all of its priority that is.
        for Unwritten { ticket, .. } in self.queues.refilled(service, is_all, in_the_way, last, line.next_due)
        {
            let waiting = self.still_waiting(ticket);
            let position = waiting.map(|waiting| self.position(service, &waiting.invocation, ticket));
            if position.is_some() {
                self.move_up_until(service, position);
            }
            self.move_up(ticket);
        }
        if self.queues.is_all_read(service) {
            self.move_up_until(service, None);
        }
        self.queues.goes_on(service);
    }

    /// Whether something is to be read.
    pub(in crate::engine) fn has_read_request(&self) -> bool {
        self.queues.has_read_request() || self.expiry_cursor.has_read_request() || self.is_to_mend
    }

    /// What is to be read next, if anything is.
    pub(in crate::engine) fn take_read_request(&mut self) -> Option<ReadRequest> {
        if self.closed {
            return None;
        }
        let (now, since) = (self.clock.system_time(), self.last_number);
        let hunger = if let Some((until, after)) = self.expiry_cursor.take_read_request() {
            ReadRequest::Expiries { until: now.max(until), after, since }
        } else if self.starts_nothing {
            // Nothing is started any more.
            return None;
        } else if std::mem::take(&mut self.is_to_mend) {
            return Some(ReadRequest::Lanes);
        } else {
            let (service, name, most) = self.queues.take_hungry()?;
            ReadRequest::Spill { service, name, now: now.max(self.due_until), most, since }
        };
        self.race_log.keep();
        Some(hunger)
    }

    /// Has what stands in the file alone be read whose time has come.
    pub(in crate::engine) fn ring_for_the_written(&mut self, now: SystemTime) {
        if let Some(until) = self.queues.ring_beyond(now) {
            self.due_until = self.due_until.max(until);
        }
        if self.to_end.len() < self.queues.window {
            self.expiry_cursor.ring(now);
        }
    }

    /// When the next of that is to happen.
    pub(in crate::engine) fn next_ring_for_the_written(&self) -> Option<SystemTime> {
        let ends = self.expiry_cursor.next_ring().filter(|_| self.to_end.len() < self.queues.window);
        [self.queues.next_due_spilled(), ends].into_iter().flatten().min()
    }

    /// Ends what was read of what is to be ended without having been run, since [`News`] are kept; or reads on where it
    /// was not all.
    pub(in crate::engine) fn end_written(&mut self, ends: ExpiryPage) {
        for left in ends.first {
            let cid = left.invocation.cid;
            if !self.held.is_held(&cid) && !self.race_log.has_gone(cid, ends.since) {
                self.hold_again(left);
            }
        }
        self.race_log.drop();
        self.expiry_cursor.has_read(ends.last, ends.next);
    }
}
