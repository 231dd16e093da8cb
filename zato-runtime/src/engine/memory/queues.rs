//! What waits: a queue for each service, and services take turns.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use zato_core::{Invocation, ServiceName};

/// Everything that waits to be started.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// Where each service's queue is.
    index: HashMap<ServiceName, usize, foldhash::fast::RandomState>,
    of_service: Vec<VecDeque<Arc<Invocation>>>,
    /// The queues that hold something, in the order of their turns.
    turns: VecDeque<usize>,
    count: usize,
    bytes: usize,
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

    pub(super) fn push(&mut self, invocation: Arc<Invocation>) {
        self.count += 1;
        self.bytes += invocation.payload.len();
        let index = self.queue(&invocation.service);
        let queue = &mut self.of_service[index];
        queue.push_back(invocation);
        if queue.len() == 1 {
            self.turns.push_back(index);
        }
    }

    /// The next one; its service goes to the end of the turns.
    pub(super) fn pop(&mut self) -> Option<Arc<Invocation>> {
        let index = self.turns.pop_front()?;
        let queue = &mut self.of_service[index];
        let invocation = queue.pop_front()?;
        if !queue.is_empty() {
            self.turns.push_back(index);
        }
        self.count -= 1;
        self.bytes -= invocation.payload.len();
        Some(invocation)
    }

    /// Whether nothing of this service waits.
    pub(super) fn is_clear(&self, service: &ServiceName) -> bool {
        self.index.get(service).is_none_or(|index| self.of_service[*index].is_empty())
    }

    /// How many wait.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many bytes of payload they hold.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
