//! What time does to what the memory engine holds.

use std::time::SystemTime;

use tokio::time::Instant;
use zato_core::{Cid, Invocation, When};

use super::held::{Held, Hold};
use super::queues::Ticket;
use super::state::State;
use super::timers::Alarm;
use crate::record::Task;

/// So many void timers and places are left alone.
const FEW: usize = 1_024;

impl State {
    /// Sets what ends an invocation that has not started, or not ended.
    pub(super) fn set_timers(&mut self, ticket: Ticket, invocation: &Invocation) {
        let expires = invocation.options.as_deref().and_then(|options| options.expires);
        if let Some(when) = expires {
            let at = self.clock.arm(when.from(self.clock.now()));
            self.timers.set(at, ticket, Alarm::Expired);
        }
        if let Some(deadline) = invocation.deadline {
            self.set_deadline(deadline, ticket);
        }
    }

    pub(super) fn set_deadline(&mut self, deadline: SystemTime, ticket: Ticket) {
        self.timers.set(self.clock.arm(deadline), ticket, Alarm::Deadline);
    }

    /// Puts what nothing else holds up into its queue, or sets a timer until it is due: at `at`, else as its call says.
    pub(super) fn line_up(
        &mut self,
        service: u32,
        invocation: &Invocation,
        ticket: Ticket,
        at: Option<SystemTime>,
    ) -> Hold {
        let asked = || invocation.options.as_deref()?.due.map(|due: When| due.from(self.clock.now()));
        if let Some(at) = at.or_else(asked) {
            let due = self.clock.arm(at);
            if due > Instant::now() {
                self.timers.set(due, ticket, Alarm::Due);
                return Hold::Until(at);
            }
        }
        self.queues.push(service, invocation, ticket);
        Hold::Turn
    }

    /// Gives the concurrency key of an invocation that has ended to the one that waits for it.
    pub(super) fn leave_lane(&mut self, invocation: &Invocation) {
        let Some(key) = invocation.options.as_deref().and_then(|options| options.concurrency_key.as_deref())
        else {
            return;
        };
        let service = self.queues.number(&invocation.service);
        if self.queues.of(service).lanes.first(key) == Some(invocation.cid) {
            self.let_lane_go(service, invocation);
        }
        let all = &self.held;
        let waits = |ticket: &Ticket| all.get(&ticket.cid).is_some_and(|held| held.waits_as(ticket.number));
        let Some(next) = self.queues.of_mut(service).lanes.leave(key, invocation.cid, waits) else { return };
        let Some(invocation) = self.still_waiting(next).map(|waiting| waiting.invocation.clone()) else {
            return;
        };
        let hold = self.line_up(service, &invocation, next, None);
        self.set_hold(next.cid, hold);
    }

    pub(super) fn set_hold(&mut self, cid: Cid, hold: Hold) {
        if let Some(Held::Waiting(waiting)) = self.held.get_mut(&cid) {
            waiting.hold = hold;
        }
    }

    /// Forgets timers and places in queues that are void, once they are more than those that are not. A waiting
    /// invocation has one place and three timers at the most.
    pub(super) fn clear_void(&mut self) {
        let held = &self.held;
        let is_valid =
            |ticket: &Ticket| held.get(&ticket.cid).is_some_and(|held| held.waits_as(ticket.number));
        if self.timers.len() > FEW + 6 * self.waiting {
            self.timers.retain(is_valid);
        }
        if self.queues.len() > FEW + 2 * self.waiting {
            self.queues.retain(is_valid);
        }
    }

    /// Moves on whatever a timer has rung for.
    pub(super) fn ring(&mut self, now: Instant) {
        self.queues.ring(now);
        while let Some((ticket, alarm)) = self.timers.ring(now) {
            let Some(Held::Waiting(waiting)) = self.held.get_mut(&ticket.cid) else { continue };
            if waiting.number != ticket.number {
                continue;
            }
            match alarm {
                Alarm::Due => {
                    waiting.hold = Hold::Turn;
                    let (invocation, service) = (waiting.invocation.clone(), waiting.service);
                    self.queues.push(service, &invocation, ticket);
                }
                // It concerns the first start alone.
                Alarm::Expired if waiting.before.is_none() => self.to_end.push_back((ticket, Task::Expire)),
                Alarm::Expired => {}
                Alarm::Deadline => self.to_end.push_back((ticket, Task::TimeOut)),
            }
        }
    }

    /// When the next timer rings, if there is one.
    pub(super) fn next_ring(&self) -> Option<Instant> {
        [self.timers.next(), self.queues.next_ring()].into_iter().flatten().min()
    }
}
