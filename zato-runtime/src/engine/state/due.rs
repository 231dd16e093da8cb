//! Timers of the state: invocations become due, expire, and meet their deadlines.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use zato_core::{Cid, Invocation, Moment};

use super::entry::{BlockedBy, Entry, Waiting};
use super::place::Ticket;
use super::state::State;
use super::store::Store;
use super::timers::Alarm;
use super::times::starts_at;
use crate::record::{Batch, Delivery, Task};

/// So many void timers and places are left alone.
const FEW: usize = 1_024;

/// The most that is handed out at once of what is to be ended, to whom is not a worker.
pub(in crate::engine) const MOST_ENDS: usize = 256;

impl<S: Store> State<S> {
    /// Sets what ends an invocation that has not started, or not ended; it is accepted now where no time is given.
    pub(in crate::engine) fn set_timers(
        &mut self,
        ticket: Ticket,
        invocation: &Invocation,
        accepted_at: Option<SystemTime>,
    ) {
        let expires = invocation.options.as_deref().and_then(|options| options.expires);
        if let Some(when) = expires {
            self.clock.look();
            let at = when.from(accepted_at.unwrap_or_else(|| self.clock.system_time()));
            self.timers.set(at.into(), ticket, Alarm::Expired);
        }
        if let Some(deadline) = invocation.deadline {
            self.set_deadline(deadline, ticket);
        }
    }

    pub(in crate::engine) fn set_deadline(&mut self, deadline: Moment, ticket: Ticket) {
        self.timers.set(deadline, ticket, Alarm::Deadline);
    }

    /// Puts what nothing else holds up into its queue, or sets a timer until it is due: at `at`, else as its call says.
    pub(in crate::engine) fn line_up(
        &mut self,
        service: u32,
        invocation: &Invocation,
        ticket: Ticket,
        at: Option<SystemTime>,
    ) -> BlockedBy {
        if let Some(at) = at.or(invocation.due.map(Into::into)) {
            self.clock.look();
            if self.gives_up_after.is_some_and(|last| at > last) {
                self.end_soon(ticket, Task::GiveUp);
                return BlockedBy::Ending;
            }
            if at > self.clock.system_time() {
                self.timers.set(at.into(), ticket, Alarm::Due);
                if S::WRITES_DOWN
                    && (!self.queues.of(service).is_open() || self.timers.len() > self.queues.window)
                    && !self.store.is_in_memory(invocation)
                {
                    self.let_go_later(ticket);
                }
                return BlockedBy::Due;
            }
        }
        self.take_place(service, invocation, ticket)
    }

    /// Has what is due only after this time ended, also what comes to wait from now on.
    pub(in crate::engine) fn give_up_after(&mut self, time: Duration) {
        self.clock.look();
        let Some(last) = self.clock.system_time().checked_add(time) else { return };
        self.gives_up_after = Some(last);
        let is_in_time = |waiting: &Waiting| {
            let at = starts_at(&waiting.invocation, waiting.before.as_deref());
            waiting.hold != BlockedBy::Due || at.is_none_or(|at| at <= last)
        };
        for ticket in self.waiting_but(is_in_time) {
            self.end_soon(ticket, Task::GiveUp);
        }
    }

    /// Nothing holds it up any more but its time.
    pub(in crate::engine) fn line_up_now(&mut self, ticket: Ticket) {
        // What is about to be ended stands where it is until it has.
        let Some(waiting) = self.still_waiting(ticket).filter(|waiting| waiting.hold != BlockedBy::Ending)
        else {
            return;
        };
        let (invocation, service) = (waiting.invocation.clone(), waiting.service);
        let at = waiting.before.as_ref().and_then(|before| before.next_at);
        let hold = self.line_up(service, &invocation, ticket, at);
        self.set_hold(ticket.cid, hold);
    }

    pub(in crate::engine) fn set_hold(&mut self, cid: Cid, hold: BlockedBy) {
        if let Some(Entry::Waiting(waiting)) = self.held.get_mut(&cid) {
            waiting.hold = hold;
        }
    }

    /// Has one that waits ended without being run.
    pub(in crate::engine) fn end_soon(&mut self, ticket: Ticket, task: Task) {
        if let Some(Entry::Waiting(waiting)) = self.held.get_mut(&ticket.cid)
            && waiting.number == ticket.number
            && waiting.hold != BlockedBy::Restart
        {
            waiting.hold = BlockedBy::Ending;
        }
        self.to_end.push_back((ticket, task));
    }

    /// Forgets timers and places in queues that are void, once they are more than those that are not. A waiting
    /// invocation has one place and three timers at the most.
    pub(in crate::engine) fn clear_void(&mut self) {
        let held = &self.held;
        let is_valid = |ticket: &Ticket| held.waiting(ticket.place, ticket.number).is_some();
        let most = self.held.len().min(usize::try_from(self.waiting).unwrap_or_default());
        if self.timers.len() > FEW + 6 * most {
            self.timers.retain(is_valid);
        }
        if self.queues.len() > FEW + 2 * most {
            self.queues.retain(is_valid);
        }
    }

    /// Lets what has become due take its place in its queue, before anything else does.
    pub(in crate::engine) fn run_due_timers(&mut self) {
        self.queues.ring();
        let Some(earliest) = self.next_time() else { return };
        let looks_at = self.looks_at.get().map(|(_, at)| at);
        if looks_at.is_some_and(|at| at <= Instant::now()) {
            // Somebody has waited, or would have: the next wait is from now on.
            self.looks_at.set(None);
            self.clock.look();
        }
        let now = self.clock.now();
        if earliest <= now {
            self.ring(now);
            self.ring_for_the_written(now.into());
        }
    }

    /// Moves on whatever a timer has rung for.
    fn ring(&mut self, now: Moment) {
        while let Some((ticket, alarm)) = self.timers.ring(now) {
            let Some(waiting) = self.still_waiting(ticket) else { continue };
            match alarm {
                Alarm::Due if waiting.hold != BlockedBy::Due => {}
                Alarm::Due => {
                    let (invocation, service) = (waiting.invocation.clone(), waiting.service);
                    let at = starts_at(&invocation, waiting.before.as_deref());
                    self.due_until = at.map_or(self.due_until, |at| self.due_until.max(at));
                    let hold = self.take_place(service, &invocation, ticket);
                    self.set_hold(ticket.cid, hold);
                }
                // It concerns the first start alone.
                Alarm::Expired if waiting.before.is_none() => self.end_soon(ticket, Task::Expire),
                Alarm::Expired => {}
                Alarm::Deadline => self.end_soon(ticket, Task::TimeOut),
            }
        }
    }

    /// The earliest time of day at which something is to happen, if anything is.
    fn next_time(&self) -> Option<Moment> {
        if self.timers.len() == 0 && self.queues.has_no_dues() && self.expiry_cursor.next_ring().is_none() {
            return None;
        }
        let times = [self.timers.next(), self.next_ring_for_the_written().map(Moment::from)];
        times.into_iter().flatten().min()
    }

    /// When somebody is to look next, if anything is to happen later: at the latest when the next timer rings by the
    /// clocks as they are now.
    pub(in crate::engine) fn next_ring(&self) -> Option<Instant> {
        let looks_at = self.next_time().map(|earliest| match self.looks_at.get() {
            Some((armed_for, at)) if armed_for == earliest => at,
            _ => {
                let at = self.clock.look_at(earliest.into());
                self.looks_at.set(Some((earliest, at)));
                at
            }
        });
        [looks_at, self.queues.next_ring()].into_iter().flatten().min()
    }

    /// The earliest time at which a timer rings, which may be one of an invocation that does not wait any more.
    fn next_timer(&self) -> Option<Moment> {
        if !self.to_end.is_empty() {
            return Some(Moment::from_nanos(0));
        }
        let written =
            [self.expiry_cursor.next_ring(), self.queues.next_due_spilled()].into_iter().flatten().min();
        [self.timers.next(), written.map(Moment::from)].into_iter().flatten().min()
    }

    /// Returns the earliest time at which a timer rings or a service whose rate is used up may start something, if nobody
    /// outside of the workers has been told of as early a time.
    pub(in crate::engine) fn timer_to_tell(&mut self) -> Option<Instant> {
        let (timer, rate) = (self.next_timer(), self.queues.next_ring());
        let timer = timer.filter(|next| self.told_timer.is_none_or(|told| *next < told));
        let rate = rate.filter(|next| self.told_rate.is_none_or(|told| *next < told));
        self.told_timer = timer.or(self.told_timer);
        self.told_rate = rate.or(self.told_rate);
        [timer.map(|next| self.clock.look_at(next.into())), rate].into_iter().flatten().min()
    }

    /// Delivers what is to be ended now without being run, up to `most`, to whom has been told of a timer; and says when the
    /// next rings.
    pub(in crate::engine) fn deliver_ends(&mut self, most: usize) -> (Batch<Delivery>, Option<Instant>) {
        let mut ends = Batch::new();
        if self.closed {
            return (ends, None);
        }
        let now = self.clock.now();
        while ends.len() < most
            && let Some(delivery) = self.deliver_end(now)
        {
            ends.push(delivery);
        }
        let held = &self.held;
        self.timers.clear_void(|ticket| held.waits_under(ticket));
        (self.told_timer, self.told_rate) = (None, None);
        (ends, self.timer_to_tell())
    }
}
