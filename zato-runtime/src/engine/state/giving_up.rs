//! The end of a shutdown of an engine without a disk: everything that has not ended is handed out to be cancelled.

use zato_core::Channel;

use super::entry::{BlockedBy, Delivered, Entry, Waiting};
use super::place::Ticket;
use super::state::State;
use super::store::Store;
use crate::record::{Delivery, Task};

impl<S: Store> State<S> {
    /// Has all that waits ended, but for callbacks that may still start; returns the attempts that run.
    pub(in crate::engine) fn give_up(&mut self) -> Vec<Delivery> {
        // From here on callbacks are what starts. They need not wait for the handlers that have until the limit.
        self.max_running = usize::MAX;
        for ticket in self.waiting_but(|waiting| {
            let is_callback = waiting.invocation.channel == Channel::InvokeAsyncCallback;
            waiting.hold == BlockedBy::Ending || (is_callback && waiting.hold == BlockedBy::Turn)
        }) {
            self.end_soon(ticket, Task::GiveUp);
        }
        self.delivered()
    }

    /// Starts nothing more, and returns all that has not ended but open groups, which end with their members.
    pub(in crate::engine) fn abandon(&mut self) -> Vec<Delivery> {
        (self.draining, self.starts_nothing, self.closed) = (true, true, true);
        self.to_end.clear();
        let now = self.clock.now();
        let mut left = self.delivered();
        let waiting = self.waiting_but(|_| false);
        left.extend(waiting.into_iter().filter_map(|ticket| self.deliver(ticket, Task::GiveUp, now)));
        left
    }

    /// The tickets of what waits, but for what is excepted.
    pub(super) fn waiting_but(&self, is_excepted: impl Fn(&Waiting) -> bool) -> Vec<Ticket> {
        let ticket = |held: &Entry| match held {
            Entry::Waiting(waiting) if !is_excepted(waiting) => {
                let cid = waiting.invocation.cid;
                Some(Ticket { number: waiting.number, cid, place: self.held.place(&cid)? })
            }
            _ => None,
        };
        self.held.all_held().filter_map(ticket).collect()
    }

    /// What has been delivered and has not ended.
    pub(super) fn delivered(&self) -> Vec<Delivery> {
        let delivery = |delivered: &Delivered| {
            let lease = self.held.place(&delivered.invocation.cid)?.lease(delivered.number);
            let task = if delivered.runs { Task::Run } else { Task::GiveUp };
            Some(Delivery { task, ..delivered.delivery(lease) })
        };
        self.held
            .all_held()
            .filter_map(|held| match held {
                Entry::Delivered(delivered) => delivery(delivered),
                _ => None,
            })
            .collect()
    }
}
