//! What is to happen at some time to what waits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

use super::queues::Ticket;

/// What a timer does to an invocation that still waits under its ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum Alarm {
    /// It may start.
    Due,
    /// It need not start any more.
    Expired,
    /// It must have ended.
    Deadline,
}

/// All timers, the earliest first. Those of what no longer waits are left to ring for nothing.
#[derive(Debug, Default)]
pub(in crate::engine) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Ticket, Alarm)>>,
}

impl Timers {
    pub(in crate::engine) fn set(&mut self, at: Instant, ticket: Ticket, alarm: Alarm) {
        self.heap.push(Reverse((at, ticket, alarm)));
    }

    /// The next that rings by `now`.
    pub(in crate::engine) fn ring(&mut self, now: Instant) -> Option<(Ticket, Alarm)> {
        let Reverse((at, ..)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        let Reverse((_, ticket, alarm)) = self.heap.pop()?;
        Some((ticket, alarm))
    }

    /// When the earliest rings.
    pub(in crate::engine) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Forgets the timers of void tickets.
    pub(in crate::engine) fn retain(&mut self, is_valid: impl Fn(&Ticket) -> bool) {
        self.heap.retain(|Reverse((_, ticket, _))| is_valid(ticket));
    }
}
