//! What stands behind all that a queue holds, where everything is written down: it is read again when a queue is short.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::SystemTime;

use zato_core::{Invocation, ServiceName};

use super::queues::{Position, Queues, Ticket, Unwritten};

/// So many alarms that ring for nothing are left alone.
const FEW: usize = 1_024;

impl Queues {
    /// Whether one more may stand in this queue: it is not full, its service is open, and nothing stands beyond it that
    /// goes before.
    pub(in crate::engine) fn has_room(&self, service: u32, invocation: &Invocation) -> bool {
        let queue = self.of(service);
        if !queue.beyond.is_some {
            return queue.is_open() && queue.len() < self.window;
        }
        let lowest = queue.due.last_key_value().map(|(Reverse(lowest), _)| *lowest);
        lowest.is_some_and(|lowest| self.priority(service, invocation) > lowest)
    }

    /// Whether something of this service may be written down alone that has not been started.
    pub(in crate::engine) fn has_beyond(&self, service: u32) -> bool {
        let beyond = &self.of(service).beyond;
        beyond.is_some || beyond.due.is_some()
    }

    /// One stands beyond; it is written down there when all is that was numbered up to `number`.
    pub(in crate::engine) fn push_beyond(
        &mut self,
        service: u32,
        invocation: &Invocation,
        ticket: Ticket,
        number: u64,
    ) {
        let priority = self.priority(service, invocation);
        let beyond = &mut self.services[service as usize].beyond;
        beyond.is_some = true;
        if !std::mem::replace(&mut beyond.is_listed, true) {
            self.unwritten.push(service);
        }
        beyond.unwritten.push_back(Unwritten { number, priority, ticket });
        self.feel_hunger(service);
    }

    /// One stands beyond that is held in memory alone.
    pub(super) fn keep_beyond(&mut self, service: u32, position: Position, ticket: Ticket) {
        let beyond = &mut self.services[service as usize].beyond;
        beyond.is_some = true;
        beyond.in_memory.insert(position, ticket);
        self.feel_hunger(service);
    }

    /// Removes the first of those that are held in memory alone, if it stands before this position; any, without one.
    pub(super) fn pop_kept(&mut self, service: u32, until: Option<Position>) -> Option<Ticket> {
        let first = self.services[service as usize].beyond.in_memory.first_entry()?;
        until.is_none_or(|until| *first.key() < until).then(|| first.remove())
    }

    /// The number of services.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.services.len()).unwrap_or(u32::MAX)
    }

    /// Something may stand beyond every queue.
    pub(in crate::engine) fn is_all_beyond(&mut self, services: impl Iterator<Item = ServiceName>) {
        for name in services {
            let service = self.number(&name);
            self.of_mut(service).beyond.is_some = true;
            self.feel_hunger(service);
        }
    }

    /// The last of a queue that holds too many.
    pub(in crate::engine) fn pop_surplus(&mut self, service: u32) -> Option<Ticket> {
        let queue = &mut self.services[service as usize];
        if queue.len() <= 2 * self.window {
            return None;
        }
        let mut last = queue.due.last_entry()?;
        let ticket = last.get_mut().pop_back();
        if last.get().is_empty() {
            last.remove();
        }
        self.len -= usize::from(ticket.is_some());
        ticket
    }

    /// Names what is beyond and is written down there, now that all is that was numbered up to this.
    pub(in crate::engine) fn written(&mut self, number: u64, mut see: impl FnMut(Ticket)) {
        let services = &mut self.services;
        self.unwritten.retain(|service| {
            let beyond = &mut services[*service as usize].beyond;
            while let Some(written) = beyond.unwritten.pop_front_if(|unwritten| unwritten.number <= number) {
                if beyond.is_read {
                    beyond.missed = beyond.missed.max(Some(written.priority));
                }
                see(written.ticket);
            }
            beyond.is_listed = !beyond.unwritten.is_empty();
            beyond.is_listed
        });
    }

    /// Has what is beyond be read, where few are left.
    pub(super) fn feel_hunger(&mut self, service: u32) {
        let (queue, window) = (&mut self.services[service as usize], self.window);
        let is_short = || queue.len() < window.div_ceil(2);
        if queue.beyond.is_some && !queue.beyond.is_read && queue.is_open() && is_short() {
            queue.beyond.is_read = true;
            self.hungry.push_back(service);
        }
    }

    /// Whether something is to be read.
    pub(in crate::engine) fn is_hungry(&self) -> bool {
        !self.hungry.is_empty()
    }

    /// The next service of which what is beyond is to be read: its number and name, and how many in all.
    pub(in crate::engine) fn take_hungry(&mut self) -> Option<(u32, ServiceName, usize)> {
        let service = self.hungry.pop_front()?;
        let queue = self.of(service);
        Some((service, self.names[service as usize], queue.len() + queue.beyond.in_the_way + self.window))
    }

    /// Whether what was read and has this priority stands before all that may not have been seen.
    pub(in crate::engine) fn comes_first(&self, service: u32, invocation: &Invocation) -> bool {
        self.of(service).beyond.missed.is_none_or(|missed| self.priority(service, invocation) >= missed)
    }

    /// It was read, and so was when the first is due of what is not. If that was all, answers what was not written then.
    pub(super) fn refilled(
        &mut self,
        service: u32,
        is_all: bool,
        in_the_way: usize,
        due: Option<SystemTime>,
    ) -> Option<VecDeque<Unwritten>> {
        let beyond = &mut self.of_mut(service).beyond;
        let is_all = is_all && beyond.missed.is_none();
        beyond.in_the_way = in_the_way;
        (beyond.is_read, beyond.missed) = (false, None);
        let missed = beyond.missed_due.take();
        beyond.due = None;
        for due in due.into_iter().chain(missed) {
            self.is_due_beyond(service, due);
        }
        let beyond = &mut self.of_mut(service).beyond;
        if is_all {
            beyond.is_some = false;
            return Some(std::mem::take(&mut self.of_mut(service).beyond.unwritten));
        }
        self.feel_hunger(service);
        None
    }

    /// Something stands beyond that is due at some time.
    pub(in crate::engine) fn is_due_beyond(&mut self, service: u32, due: SystemTime) {
        let beyond = &mut self.of_mut(service).beyond;
        if beyond.is_read {
            beyond.missed_due = beyond.missed_due.into_iter().chain([due]).min();
        }
        if beyond.due.is_none_or(|first| due < first) {
            beyond.due = Some(due);
            self.dues.push(Reverse((due, service)));
        }
        if self.dues.len() > FEW + 2 * self.services.len() {
            let services = &self.services;
            self.dues.retain(|Reverse((due, service))| services[*service as usize].beyond.due == Some(*due));
        }
    }

    /// Has what stands beyond and is due by now be read; answers until when it is due.
    pub(in crate::engine) fn ring_beyond(&mut self, now: SystemTime) -> Option<SystemTime> {
        let mut until = None;
        while let Some(Reverse((due, service))) = self.dues.peek().copied()
            && due <= now
        {
            self.dues.pop();
            let beyond = &mut self.of_mut(service).beyond;
            if beyond.due == Some(due) {
                beyond.due = None;
                beyond.is_some = true;
                until = until.max(Some(due));
                self.feel_hunger(service);
            }
        }
        until
    }

    /// When the next of what stands beyond is due.
    pub(in crate::engine) fn next_due_beyond(&self) -> Option<SystemTime> {
        self.dues.peek().map(|Reverse((due, _))| *due)
    }
}
