//! Synchronous calls from outside, where everything else is written down: they are held in memory alone until they have
//! ended, and are recorded then.
//!
//! Their callers wait in this process, and no other process runs them. So they are never let go of: what stands behind all
//! that a queue holds is kept in its order, and moves up with what is read. A shutdown finishes what it can of them, as
//! `memory:` does with all, and what it cannot finish ends as `Cancelled`.

use std::cmp::Reverse;

use zato_core::{Cid, Invocation};

use super::entry::Entry;
use super::place::Ticket;
use super::queues::Position;
use super::state::State;
use super::store::Pending;
use super::store::Store;
use super::table::Node;
use super::times::starts_at;
use crate::record::{Delivery, Task};

impl<S: Store> State<S> {
    /// Where one stands that waits or is about to.
    pub(super) fn position(&self, service: u32, invocation: &Invocation, ticket: Ticket) -> Position {
        let since = match self.held.at(ticket.place) {
            Some(Node::Held(Entry::Waiting(waiting))) => starts_at(invocation, waiting.before.as_deref()),
            // Its attempt is over, and the next is due.
            Some(Node::Held(Entry::Delivered(_))) => Some(self.clock.system_time()),
            _ => None,
        };
        let since = since.unwrap_or_else(|| invocation.called_at.into());
        (Reverse(self.queues.priority(service, invocation)), since, ticket.number)
    }

    /// The same for one that was read.
    pub(super) fn position_of(&self, service: u32, left: &Pending) -> Position {
        let Pending { invocation, before, number, .. } = left;
        let since = starts_at(invocation, before.as_deref()).unwrap_or_else(|| invocation.called_at.into());
        (Reverse(self.queues.priority(service, invocation)), since, *number)
    }

    /// Gives those that are beyond their queue and are held in memory alone a place in it, as far as they stand before this
    /// position; all of them, without one.
    pub(super) fn move_up_until(&mut self, service: u32, until: Option<Position>) {
        while let Some(ticket) = self.queues.pop_kept(service, until) {
            self.move_up(ticket);
        }
    }

    /// The same for all services.
    pub(super) fn move_up_all_in_memory(&mut self) {
        for service in 0..self.queues.count() {
            self.move_up_until(service, None);
        }
    }

    /// Whether something waits that is held in memory alone, and may start in this process.
    pub(super) fn waits_in_memory(&self) -> bool {
        self.store.in_memory().any(|cid| match self.held.get(&cid) {
            Some(Entry::Waiting(waiting)) => self.queues.of(waiting.service).is_open(),
            _ => false,
        })
    }

    /// Whether something has ended whose end is not written down, nor anything else of it.
    pub(in crate::engine) fn has_ended_in_memory(&self, cid: Cid) -> bool {
        let held = self.held.get(&cid).filter(|held| held.has_ended());
        held.is_some_and(|held| self.store.is_in_memory(held.invocation()))
    }

    /// Starts nothing more, and returns what is held in memory alone and has not ended: it ends with this process.
    pub(in crate::engine) fn abandon_in_memory(&mut self) -> Vec<Delivery> {
        (self.draining, self.starts_nothing) = (true, true);
        let now = self.clock.now();
        let mut left = self.delivered();
        left.retain(|delivery| self.store.is_in_memory(&delivery.invocation));
        let waiting = self.waiting_but(|waiting| !self.store.is_in_memory(&waiting.invocation));
        left.extend(waiting.into_iter().filter_map(|ticket| self.deliver(ticket, Task::GiveUp, now)));
        left
    }
}
