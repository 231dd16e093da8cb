//! The handlers and the bus as one worker hands them to its attempts: each worker has a reference count of its own, so that
//! workers do not write the same cache line for each attempt.

use std::sync::Arc;

use zato_core::{Context, Handlers, Invocation};

use crate::attempt::dispatch::RunningAttempt;
use crate::bus::core::BusCore;

/// The handlers of one worker.
pub(crate) struct WorkerHandlers {
    handlers: Arc<Handlers>,
    /// `None` for attempts that are begun outside of a worker.
    pub(crate) worker: Option<usize>,
}

impl WorkerHandlers {
    pub(crate) fn of(shared: &Arc<BusCore>, worker: Option<usize>) -> Self {
        let handlers = Handlers::new(shared.registry.handlers(), shared.clone());
        Self { handlers: Arc::new(handlers), worker }
    }

    /// Begins an attempt of the service with this number in the registry.
    pub(crate) fn begin(&self, service: u32, invocation: Arc<Invocation>, attempt: u32) -> RunningAttempt {
        RunningAttempt::new(Context::new(invocation, attempt, service, self.handlers.clone()))
    }
}
