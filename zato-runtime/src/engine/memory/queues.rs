//! What may start: a queue for each service, and services take turns.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

use zato_core::{Cid, Invocation, ServiceName};

use crate::record::Hosted;

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
    of_service: Vec<Queue>,
    /// The queues that something can be started from, in the order of their turns.
    turns: VecDeque<usize>,
    /// How many tickets there are, void ones too.
    len: usize,
}

/// What waits for one service.
#[derive(Debug, Default)]
struct Queue {
    /// By priority, the higher first; within one, in the order in which they came to be due. None is empty.
    waiting: BTreeMap<Reverse<i8>, VecDeque<Ticket>>,
    running: usize,
    concurrency: Option<usize>,
    /// Of what names none.
    priority: i8,
    has_turn: bool,
}

impl Queue {
    fn has_place(&self) -> bool {
        self.concurrency.is_none_or(|most| self.running < most)
    }

    fn pop(&mut self) -> Option<Ticket> {
        let mut first = self.waiting.first_entry()?;
        let ticket = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        ticket
    }
}

impl Queues {
    /// What is known of the services before anything is accepted.
    pub(super) fn announce(&mut self, services: &[Hosted]) {
        for service in services {
            let index = self.queue(&service.name);
            let queue = &mut self.of_service[index];
            queue.concurrency = service.concurrency.map(|most| most as usize);
            queue.priority = service.priority;
        }
    }

    /// A service's queue, made when it is first asked for.
    fn queue(&mut self, service: &ServiceName) -> usize {
        if let Some(index) = self.index.get(service) {
            return *index;
        }
        self.of_service.push(Queue::default());
        self.index.insert(service.clone(), self.of_service.len() - 1);
        self.of_service.len() - 1
    }

    /// Gives a queue its turn, if something can be started from it and it has none.
    fn give_turn(&mut self, index: usize) {
        let queue = &mut self.of_service[index];
        if !queue.has_turn && !queue.waiting.is_empty() && queue.has_place() {
            queue.has_turn = true;
            self.turns.push_back(index);
        }
    }

    pub(super) fn push(&mut self, invocation: &Invocation, ticket: Ticket) {
        let index = self.queue(&invocation.service);
        let queue = &mut self.of_service[index];
        let priority =
            invocation.options.as_ref().and_then(|options| options.priority).unwrap_or(queue.priority);
        queue.waiting.entry(Reverse(priority)).or_default().push_back(ticket);
        self.len += 1;
        self.give_turn(index);
    }

    /// The next one, and which queue it stood in; what it comes to is to be told: [`started`](Self::started),
    /// or [`skipped`](Self::skipped). Its service then goes to the end of the turns.
    pub(super) fn pop(&mut self) -> Option<(usize, Ticket)> {
        loop {
            let index = self.turns.pop_front()?;
            let queue = &mut self.of_service[index];
            queue.has_turn = false;
            // Its tickets may have been forgotten since it was given its turn.
            if let Some(ticket) = queue.pop() {
                self.len -= 1;
                return Some((index, ticket));
            }
        }
    }

    /// How many tickets there are, void ones too.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Forgets void tickets.
    pub(super) fn retain(&mut self, is_valid: impl Fn(&Ticket) -> bool) {
        self.len = 0;
        for queue in &mut self.of_service {
            queue.waiting.retain(|_, tickets| {
                tickets.retain(&is_valid);
                self.len += tickets.len();
                !tickets.is_empty()
            });
        }
    }

    /// The ticket was void.
    pub(super) fn skipped(&mut self, index: usize) {
        self.give_turn(index);
    }

    /// One of this service has been started: it takes a place.
    pub(super) fn started(&mut self, service: &ServiceName) {
        let index = self.queue(service);
        self.of_service[index].running += 1;
        self.give_turn(index);
    }

    /// One of this service has ended: its place is free.
    pub(super) fn ended(&mut self, service: &ServiceName) {
        let index = self.queue(service);
        self.of_service[index].running -= 1;
        self.give_turn(index);
    }

    /// Whether one of this service may start before all that waits, because nothing does and there is a place.
    pub(super) fn is_clear(&self, service: &ServiceName) -> bool {
        self.index.get(service).is_none_or(|index| {
            let queue = &self.of_service[*index];
            queue.waiting.is_empty() && queue.has_place()
        })
    }

    /// Whether nothing can be started.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}
