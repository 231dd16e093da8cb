//! The part of a queue that is on disk only.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::SystemTime;

use zato_core::{Invocation, ServiceName};

use super::place::Ticket;
use super::queues::{Position, Queues, Spill, Unwritten};

/// So many alarms that ring for nothing are left alone.
const FEW: usize = 1_024;

impl Spill {
    /// Something of this priority is beyond.
    fn note(&mut self, priority: i8) {
        self.highest = if self.is_some { self.highest.max(priority) } else { priority };
        self.is_some = true;
    }
}

impl Queues {
    /// Whether one more may stand in this queue: it is not full, its service is open, and nothing stands beyond it that
    /// goes before.
    pub(in crate::engine) fn has_room(&self, service: u32, invocation: &Invocation) -> bool {
        let queue = self.of(service);
        if !queue.spill.is_some {
            return queue.is_open() && queue.len() < self.window;
        }
        let lowest = queue.due.last_key_value().map(|(Reverse(lowest), _)| *lowest);
        let priority = self.priority(service, invocation);
        lowest.is_some_and(|lowest| priority > lowest) && priority > queue.spill.highest
    }

    /// Whether something of this service may be written down alone that has not been started.
    pub(in crate::engine) fn has_beyond(&self, service: u32) -> bool {
        let spill = &self.of(service).spill;
        spill.is_some || spill.due.is_some()
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
        let spill = &mut self.services[service as usize].spill;
        spill.note(priority);
        if !std::mem::replace(&mut spill.is_listed, true) {
            self.unwritten.push(service);
        }
        spill.unwritten.push_back(Unwritten { number, priority, ticket });
        self.request_refill(service);
    }

    /// One stands beyond that is held in memory alone.
    pub(super) fn keep_beyond(&mut self, service: u32, position: Position, ticket: Ticket) {
        let spill = &mut self.services[service as usize].spill;
        spill.note(position.0.0);
        spill.in_memory.insert(position, ticket);
        self.request_refill(service);
    }

    /// Removes the first of those that are held in memory alone, if it stands before this position; any, without one.
    pub(super) fn pop_kept(&mut self, service: u32, until: Option<Position>) -> Option<Ticket> {
        let first = self.services[service as usize].spill.in_memory.first_entry()?;
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
            self.of_mut(service).spill.note(i8::MAX);
            self.request_refill(service);
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
            let spill = &mut services[*service as usize].spill;
            while let Some(written) = spill.unwritten.pop_front_if(|unwritten| unwritten.number <= number) {
                if spill.is_read {
                    spill.missed = spill.missed.max(Some(written.priority));
                }
                see(written.ticket);
            }
            spill.is_listed = !spill.unwritten.is_empty();
            spill.is_listed
        });
    }

    /// Has what is beyond be read, where few are left, or where it goes before all that is.
    pub(super) fn request_refill(&mut self, service: u32) {
        let (queue, window) = (&mut self.services[service as usize], self.window);
        let is_short = || queue.len() < window.div_ceil(2) || queue.is_outranked();
        if queue.spill.is_some && !queue.spill.is_read && queue.is_open() && is_short() {
            queue.spill.is_read = true;
            self.to_read.push_back(service);
        }
    }

    /// Whether something is to be read.
    pub(in crate::engine) fn has_read_request(&self) -> bool {
        !self.to_read.is_empty()
    }

    /// The next service of which what is beyond is to be read: its number and name, and how many in all.
    pub(in crate::engine) fn take_hungry(&mut self) -> Option<(u32, ServiceName, usize)> {
        let service = self.to_read.pop_front()?;
        let queue = self.of(service);
        Some((service, self.names[service as usize], queue.len() + queue.spill.in_the_way + self.window))
    }

    /// Whether what was read and has this priority stands before all that may not have been seen.
    pub(in crate::engine) fn comes_first(&self, service: u32, invocation: &Invocation) -> bool {
        self.of(service).spill.missed.is_none_or(|missed| self.priority(service, invocation) >= missed)
    }

    /// It was read, down to the priority `last` if anything was, and so was when the first is due of what is not. Answers what
    /// was not written then and goes before all that is still beyond; that is all of it, if all was read.
    pub(super) fn refilled(
        &mut self,
        service: u32,
        is_all: bool,
        in_the_way: usize,
        last: Option<i8>,
        due: Option<SystemTime>,
    ) -> VecDeque<Unwritten> {
        let spill = &mut self.of_mut(service).spill;
        let is_all = is_all && spill.missed.is_none();
        let missed = spill.missed;
        spill.in_the_way = in_the_way;
        (spill.is_read, spill.missed) = (false, None);
        let missed_due = spill.missed_due.take();
        spill.due = None;
        for due in due.into_iter().chain(missed_due) {
            self.is_due_beyond(service, due);
        }
        let spill = &mut self.of_mut(service).spill;
        let unwritten = std::mem::take(&mut spill.unwritten);
        if is_all {
            (spill.is_some, spill.highest) = (false, i8::MIN);
            return unwritten;
        }
        // Where nothing was read, nothing more is known.
        let Some(in_file) = last.map(|last| missed.map_or(last, |missed| last.max(missed))) else {
            spill.unwritten = unwritten;
            return VecDeque::new();
        };
        let (first, rest) = unwritten.into_iter().partition(|unwritten| unwritten.priority > in_file);
        spill.unwritten = rest;
        let unwritten = spill.unwritten.iter().map(|unwritten| unwritten.priority);
        let in_memory = spill.in_memory.keys().map(|position| position.0.0).next();
        spill.highest = unwritten.chain(in_memory).fold(in_file, i8::max);
        first
    }

    /// Whether nothing stands beyond.
    pub(super) fn is_all_read(&self, service: u32) -> bool {
        !self.of(service).spill.is_some
    }

    /// Nothing is read any more: nothing waits for it.
    pub(super) fn reads_no_more(&mut self) {
        for service in 0..self.count() {
            self.of_mut(service).spill.is_closed = true;
            self.give_turn(service);
        }
    }

    /// What was read is in the queue: what waited for that starts, or more is to be read.
    pub(super) fn goes_on(&mut self, service: u32) {
        self.give_turn(service);
        self.request_refill(service);
    }

    /// Something stands beyond that is due at some time.
    pub(in crate::engine) fn is_due_beyond(&mut self, service: u32, due: SystemTime) {
        let spill = &mut self.of_mut(service).spill;
        if spill.is_read {
            spill.missed_due = spill.missed_due.into_iter().chain([due]).min();
        }
        if spill.due.is_none_or(|first| due < first) {
            spill.due = Some(due);
            self.dues.push(Reverse((due, service)));
        }
        if self.dues.len() > FEW + 2 * self.services.len() {
            let services = &self.services;
            self.dues.retain(|Reverse((due, service))| services[*service as usize].spill.due == Some(*due));
        }
    }

    /// Has what stands beyond and is due by now be read; answers until when it is due.
    pub(in crate::engine) fn ring_beyond(&mut self, now: SystemTime) -> Option<SystemTime> {
        let mut until = None;
        while let Some(Reverse((due, service))) = self.dues.peek().copied()
            && due <= now
        {
            self.dues.pop();
            let spill = &mut self.of_mut(service).spill;
            if spill.due == Some(due) {
                spill.due = None;
                if !std::mem::replace(&mut spill.is_some, true) {
                    spill.highest = i8::MIN;
                }
                until = until.max(Some(due));
                self.request_refill(service);
            }
        }
        until
    }

    /// When the next of what stands beyond is due.
    pub(in crate::engine) fn next_due_spilled(&self) -> Option<SystemTime> {
        self.dues.peek().map(|Reverse((due, _))| *due)
    }
}
