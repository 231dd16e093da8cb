//! What waits and is not held: a queue holds the first of what may start, and what stands behind them is written down.
//!
//! Where a store writes everything down, a queue that is full, or whose service nothing starts of, takes no more: what
//! comes then is *beyond*. It is held until it is written, and read again when its turn comes near. What has a
//! concurrency key, has been tried, or is to be started or ended at some time, is always held.

use std::collections::HashSet;
use std::sync::Arc;

use zato_core::{Cid, Invocation};

use super::held::{Held, Hold, Waiting};
use super::queues::Ticket;
use super::restore::Left;
use super::state::State;
use super::store::Store;
use crate::record::Progress;

/// What has happened to what was held while something is being read, which does not show it.
#[derive(Debug, Default)]
pub(in crate::engine) struct News {
    /// How many are reading.
    readers: usize,
    /// What has ended and is held no longer.
    pub(in crate::engine) ended: HashSet<Cid>,
}

impl News {
    /// Whether somebody reads.
    pub(in crate::engine) fn is_kept(&self) -> bool {
        self.readers > 0
    }

    /// Somebody begins to read.
    pub(in crate::engine) fn keep(&mut self) {
        self.readers += 1;
    }

    fn drop(&mut self) {
        self.readers -= 1;
        if self.readers == 0 {
            self.ended = HashSet::new();
        }
    }
}

/// Whether one that is written down need not be held: it has not been tried, and nothing is to happen to it at any time.
fn may_go(waiting: &Waiting) -> bool {
    let Invocation { due, deadline, options, .. } = &*waiting.invocation;
    let options = options.as_deref();
    let has_times =
        due.is_some() || deadline.is_some() || options.is_some_and(|options| options.expires.is_some());
    let has_key = options.is_some_and(|options| options.concurrency_key.is_some());
    waiting.hold == Hold::Beyond && waiting.before.is_none() && !has_times && !has_key
}

impl<S: Store> State<S> {
    /// Puts one that may start now into its service's queue, or beyond it.
    pub(in crate::engine) fn take_place(
        &mut self,
        service: u32,
        invocation: &Invocation,
        ticket: Ticket,
    ) -> Hold {
        if S::WRITES_DOWN && !self.queues.has_room(service, invocation) {
            self.queues.push_beyond(service, invocation, ticket);
            return Hold::Beyond;
        }
        self.queues.push(service, invocation, ticket);
        if S::WRITES_DOWN
            && let Some(last) = self.queues.pop_surplus(service)
        {
            self.set_hold(last.cid, Hold::Beyond);
            if let Some(waiting) = self.still_waiting(last) {
                let invocation = waiting.invocation.clone();
                self.queues.push_beyond(service, &invocation, last);
            }
        }
        Hold::Turn
    }

    /// All that was accepted under numbers up to this one is written down: what is beyond its queue need not be held.
    pub(in crate::engine) fn let_go(&mut self, number: u64) {
        let mut gone = Vec::new();
        self.queues.written(number, |ticket| gone.push(ticket));
        for ticket in gone {
            if self.still_waiting(ticket).is_some_and(may_go) {
                self.forget(ticket.cid);
            }
        }
    }

    /// Holds one again that was let go of, where it stands.
    pub(in crate::engine) fn bring_in(&mut self, left: Left) {
        let Left { invocation, before, ran, hidden_by, is_cancelled } = left.renamed(&self.renamed);
        let before = match ran {
            None => before,
            Some((number, since)) => Some(self.lost(&invocation, before.as_deref(), number, since)),
        };
        let ticket = self.hold_again(invocation, before, hidden_by);
        self.end_unless_it_runs(ticket, is_cancelled);
    }

    /// Holds one beyond its queue.
    fn hold_again(
        &mut self,
        invocation: Arc<Invocation>,
        before: Option<Arc<Progress>>,
        hidden_by: Option<Cid>,
    ) -> Ticket {
        let (ticket, service) = (self.ticket(invocation.cid), self.queues.number(&invocation.service));
        if let Some(by) = hidden_by {
            self.hidden.insert(invocation.cid, by);
        }
        let hold = Hold::Beyond;
        let waiting = Waiting { invocation, before, number: ticket.number, service, hold };
        self.held.insert(ticket.cid, Held::Waiting(waiting));
        ticket
    }

    /// Gives one that is beyond its queue a place in it.
    fn move_up(&mut self, service: u32, ticket: Ticket) {
        let Some(waiting) = self.still_waiting(ticket).filter(|waiting| waiting.hold == Hold::Beyond) else {
            return;
        };
        let invocation = waiting.invocation.clone();
        self.set_hold(ticket.cid, Hold::Turn);
        self.queues.push(service, &invocation, ticket);
    }

    /// Puts into its queue what was read of what waits for a service, in its order, since [`News`] are kept. `is_all` where
    /// nothing else is written down.
    pub(in crate::engine) fn refill(&mut self, service: u32, page: Vec<Left>, mut is_all: bool) {
        for left in page {
            let cid = left.invocation.cid;
            if !self.queues.comes_first(service, &left.invocation) {
                is_all = false;
                break;
            }
            if self.news.ended.contains(&cid) {
                continue;
            }
            match self.held.get(&cid) {
                Some(Held::Waiting(Waiting { number, .. })) => {
                    self.move_up(service, Ticket { number: *number, cid });
                }
                Some(_) => {}
                None => {
                    let Left { invocation, before, hidden_by, is_cancelled, .. } =
                        left.renamed(&self.renamed);
                    let ticket = self.hold_again(invocation, before, hidden_by);
                    self.move_up(service, ticket);
                    self.end_unless_it_runs(ticket, is_cancelled);
                }
            }
        }
        self.news.drop();
        // What is not written yet comes after all that is.
        for (_, ticket) in self.queues.refilled(service, is_all) {
            self.move_up(service, ticket);
        }
    }
}
