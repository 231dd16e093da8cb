//! What stands behind all that a queue holds, where everything is written down: it is read again when a queue is short.

use std::cmp::Reverse;
use std::collections::VecDeque;

use zato_core::{Invocation, ServiceName};

use super::queues::{Queues, Ticket};

/// How many a queue holds, where what stands behind them is written down.
const WINDOW: usize = 4_096;

impl Queues {
    /// Whether one more may stand in this queue: it is not full, its service is open, and nothing stands beyond it that
    /// goes before.
    pub(in crate::engine) fn has_room(&self, service: u32, invocation: &Invocation) -> bool {
        let queue = self.of(service);
        if !queue.beyond.is_some {
            return queue.is_open() && queue.len() < WINDOW;
        }
        let lowest = queue.due.last_key_value().map(|(Reverse(lowest), _)| *lowest);
        lowest.is_some_and(|lowest| self.priority(service, invocation) > lowest)
    }

    /// One stands beyond.
    pub(in crate::engine) fn push_beyond(&mut self, service: u32, invocation: &Invocation, ticket: Ticket) {
        let priority = self.priority(service, invocation);
        let beyond = &mut self.services[service as usize].beyond;
        beyond.is_some = true;
        if beyond.unwritten.is_empty() {
            self.unwritten.push(service);
        }
        beyond.unwritten.push_back((priority, ticket));
        self.feel_hunger(service);
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
        if queue.len() <= 2 * WINDOW {
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

    /// Names what is beyond and was accepted under numbers up to this one.
    pub(in crate::engine) fn written(&mut self, number: u64, mut see: impl FnMut(Ticket)) {
        let services = &mut self.services;
        self.unwritten.retain(|service| {
            let beyond = &mut services[*service as usize].beyond;
            while let Some((priority, ticket)) =
                beyond.unwritten.pop_front_if(|(_, ticket)| ticket.number <= number)
            {
                if beyond.is_read {
                    beyond.missed = beyond.missed.max(Some(priority));
                }
                see(ticket);
            }
            !beyond.unwritten.is_empty()
        });
    }

    /// Has what is beyond be read, where few are left.
    pub(super) fn feel_hunger(&mut self, service: u32) {
        let queue = &mut self.services[service as usize];
        let is_short = || queue.len() < WINDOW / 2;
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
        Some((service, self.names[service as usize], self.of(service).len() + WINDOW))
    }

    /// Whether what was read and has this priority stands before all that may not have been seen.
    pub(in crate::engine) fn comes_first(&self, service: u32, invocation: &Invocation) -> bool {
        self.of(service).beyond.missed.is_none_or(|missed| self.priority(service, invocation) >= missed)
    }

    /// It was read; answers what was not written then, if that was all.
    pub(in crate::engine) fn refilled(&mut self, service: u32, is_all: bool) -> VecDeque<(i8, Ticket)> {
        let beyond = &mut self.of_mut(service).beyond;
        let is_all = is_all && beyond.missed.is_none();
        (beyond.is_read, beyond.missed) = (false, None);
        if is_all {
            beyond.is_some = false;
            self.unwritten.retain(|other| *other != service);
            return std::mem::take(&mut self.of_mut(service).beyond.unwritten);
        }
        self.feel_hunger(service);
        VecDeque::new()
    }
}
