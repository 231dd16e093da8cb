//! What time does to what the memory engine holds.

use tokio::time::Instant;
use zato_core::{Options, When};

use super::held::Held;
use super::queues::Ticket;
use super::state::State;
use super::timers::Alarm;
use crate::record::Task;

/// So many void timers and places are left alone.
const FEW: usize = 1_024;

impl State {
    /// Sets what the options ask for; answers with when the invocation is due, unless that is now.
    pub(super) fn set_timers(&mut self, ticket: Ticket, options: &Options) -> Option<Instant> {
        let arm = |when: Option<When>| match when {
            Some(When::At(at)) => Some(self.clock.arm(at)),
            Some(When::In(delay)) => Instant::now().checked_add(delay),
            None => None,
        };
        let (due, expires) = (arm(options.due), arm(options.expires));
        if let Some(at) = expires {
            self.timers.set(at, ticket, Alarm::Expired);
        }
        due.filter(|due| *due > Instant::now())
    }

    /// Forgets timers and places in queues that are void, once they are more than those that are not. A waiting
    /// invocation has one place and three timers at the most.
    pub(super) fn clear_void(&mut self) {
        let held = &self.held;
        let is_valid = |ticket: &Ticket| matches!(held.get(&ticket.cid), Some(Held::Waiting { number, .. }) if *number == ticket.number);
        if self.timers.len() > FEW + 6 * self.waiting {
            self.timers.retain(is_valid);
        }
        if self.queues.len() > FEW + 2 * self.waiting {
            self.queues.retain(is_valid);
        }
    }

    /// Moves on whatever a timer has rung for.
    pub(super) fn ring(&mut self, now: Instant) {
        while let Some((ticket, alarm)) = self.timers.ring(now) {
            let Some((invocation, progress)) = self.still_waiting(ticket) else { continue };
            match alarm {
                Alarm::Due => {
                    let invocation = invocation.clone();
                    self.queues.push(&invocation, ticket);
                }
                // It concerns the first start alone.
                Alarm::Expired if progress.is_none() => self.to_end.push_back((ticket, Task::Expire)),
                Alarm::Expired => {}
                Alarm::Deadline => self.to_end.push_back((ticket, Task::TimeOut)),
            }
        }
    }

    /// When the next timer rings, if there is one.
    pub(super) fn next_ring(&self) -> Option<Instant> {
        self.timers.next()
    }
}
