//! Timers for times of day.
//!
//! Times are compared with the wall clock whenever somebody looks, so a clock that is set, or a machine that has slept,
//! moves every timer by as much and no more. Only the sleep until the earliest is on the monotonic clock
//! ([`Clock::look_at`](crate::base::clock::Clock::look_at)).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use zato_core::Moment;

use super::place::Ticket;

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

type Heap = BinaryHeap<Reverse<(Moment, Ticket, Alarm)>>;

/// All timers. Those of what no longer waits are left to ring for nothing.
#[derive(Debug, Default)]
pub(in crate::engine) struct Timers {
    /// Those that let something start.
    starts: Heap,
    /// Those that end something without it having been run. They ring also where nobody could start anything.
    ends: Heap,
}

impl Timers {
    pub(in crate::engine) fn set(&mut self, at: Moment, ticket: Ticket, alarm: Alarm) {
        let heap = if alarm == Alarm::Due { &mut self.starts } else { &mut self.ends };
        heap.push(Reverse((at, ticket, alarm)));
    }

    /// Removes and returns the earliest whose time has come at `now`.
    pub(in crate::engine) fn ring(&mut self, now: Moment) -> Option<(Ticket, Alarm)> {
        let (start, end) = (self.starts.peek(), self.ends.peek());
        // The reverse of a reverse: the greater is the earlier.
        let heap = if end > start { &mut self.ends } else { &mut self.starts };
        heap.peek().filter(|Reverse((at, ..))| *at <= now)?;
        let Reverse((_, ticket, alarm)) = heap.pop()?;
        Some((ticket, alarm))
    }

    /// The earliest time of all.
    pub(in crate::engine) fn next(&self) -> Option<Moment> {
        let tops = [self.starts.peek(), self.ends.peek()];
        tops.into_iter().flatten().map(|Reverse((at, ..))| *at).min()
    }

    /// Removes the earliest timers of those that do not wait any more.
    pub(in crate::engine) fn clear_void(&mut self, is_valid: impl Fn(&Ticket) -> bool) {
        for heap in [&mut self.starts, &mut self.ends] {
            while heap.peek().is_some_and(|Reverse((_, ticket, _))| !is_valid(ticket)) {
                heap.pop();
            }
        }
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.starts.len() + self.ends.len()
    }

    /// Forgets the timers of void tickets.
    pub(in crate::engine) fn retain(&mut self, is_valid: impl Fn(&Ticket) -> bool) {
        for heap in [&mut self.starts, &mut self.ends] {
            heap.retain(|Reverse((_, ticket, _))| is_valid(ticket));
        }
    }
}
