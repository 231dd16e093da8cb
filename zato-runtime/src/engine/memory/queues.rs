//! What may start: a queue for each service, and services take turns.

use std::collections::{HashMap, VecDeque};

use zato_core::{Cid, ServiceName};

/// A place in a queue. It is void once the invocation no longer waits under this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) cid: Cid,
}

/// The queues of all services. They may hold tickets that are void.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// Where each service's queue is.
    index: HashMap<ServiceName, usize, foldhash::fast::RandomState>,
    of_service: Vec<VecDeque<Ticket>>,
    /// The queues that hold something, in the order of their turns.
    turns: VecDeque<usize>,
}

impl Queues {
    /// A service's queue, made when it is first asked for.
    fn queue(&mut self, service: &ServiceName) -> usize {
        if let Some(index) = self.index.get(service) {
            return *index;
        }
        self.of_service.push(VecDeque::new());
        self.index.insert(service.clone(), self.of_service.len() - 1);
        self.of_service.len() - 1
    }

    pub(super) fn push(&mut self, service: &ServiceName, ticket: Ticket) {
        let index = self.queue(service);
        let queue = &mut self.of_service[index];
        queue.push_back(ticket);
        if queue.len() == 1 {
            self.turns.push_back(index);
        }
    }

    /// The next one; its service goes to the end of the turns.
    pub(super) fn pop(&mut self) -> Option<Ticket> {
        let index = self.turns.pop_front()?;
        let queue = &mut self.of_service[index];
        let ticket = queue.pop_front()?;
        if !queue.is_empty() {
            self.turns.push_back(index);
        }
        Some(ticket)
    }

    /// Whether nothing of this service waits to start.
    pub(super) fn is_clear(&self, service: &ServiceName) -> bool {
        self.index.get(service).is_none_or(|index| self.of_service[*index].is_empty())
    }

    /// Whether nothing waits to start.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}
