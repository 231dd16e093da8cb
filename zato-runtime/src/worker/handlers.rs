//! Where a worker makes its attempts: at a desk of its own, which nobody else counts up and down.

use std::sync::Arc;

use zato_core::{Context, Desk, Invocation};

use crate::attempt::dispatch::Running;
use crate::bus::core::Shared;

/// The desk of one worker.
pub(crate) struct Own {
    desk: Arc<Desk>,
    /// None for what is begun outside of a worker.
    pub(crate) worker: Option<usize>,
}

impl Own {
    pub(crate) fn of(shared: &Arc<Shared>, worker: Option<usize>) -> Self {
        let desk = Desk::new(shared.registry.handlers(), shared.clone());
        Self { desk: Arc::new(desk), worker }
    }

    /// Begins an attempt of the service with this number in the registry.
    pub(crate) fn begin(&self, service: u32, invocation: Arc<Invocation>, attempt: u32) -> Running {
        Running::new(Context::new(invocation, attempt, service, self.desk.clone()))
    }
}
