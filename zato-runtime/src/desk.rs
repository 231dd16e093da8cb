//! A door of a worker's own, through which the handlers call that it runs, and these handlers.
//!
//! An attempt holds on to its door and its handler. If all held the one, workers would count up and down in the same place
//! for every attempt, and wait for each other there.

use std::sync::Arc;

use zato_core::bus::{Bus, Call, GroupCall, Step};
use zato_core::{CallError, Cancellation, Cid, Context, Handler, Invocation, Payload};

use crate::dispatch::Running;
use crate::shared::Shared;

/// Counted in a line of the cache of its own, as handlers are: each attempt counts here.
#[repr(align(64))]
struct Desk(Arc<Shared>);

/// What attempts hold on to, of a worker's own.
pub(crate) struct Own {
    desk: Arc<dyn Bus>,
    /// By the numbers of the services.
    handlers: Vec<Arc<dyn Handler>>,
    /// None of what is begun outside of a worker.
    pub(crate) worker: Option<usize>,
}

impl Own {
    pub(crate) fn of(shared: &Arc<Shared>, worker: Option<usize>) -> Self {
        let handlers = shared.registry.numbered().map(|entry| entry.handler.apart()).collect();
        Self { desk: Arc::new(Desk(shared.clone())), handlers, worker }
    }

    /// Begins an attempt of the service with this number in the registry.
    pub(crate) fn begin(&self, service: u32, invocation: Arc<Invocation>, attempt: u32) -> Running {
        let handler = self.handlers[service as usize].clone();
        Running::new(handler, Context::new(invocation, attempt, self.desk.clone()))
    }
}

impl Bus for Desk {
    fn accept<'a>(&'a self, from: Option<&'a Context>, call: Call<'a>) -> Step<'a, Result<Cid, CallError>> {
        self.0.accept(from, call)
    }

    fn group<'a>(
        &'a self,
        from: Option<&'a Context>,
        call: GroupCall<'a>,
    ) -> Step<'a, Result<Cid, CallError>> {
        self.0.group(from, call)
    }

    fn invoke_all<'a>(
        &'a self,
        from: Option<&'a Context>,
        calls: Vec<Call<'a>>,
    ) -> Step<'a, Vec<Result<Payload, CallError>>> {
        self.0.invoke_all(from, calls)
    }

    fn invoke<'a>(
        &'a self,
        from: Option<&'a Context>,
        call: Call<'a>,
    ) -> Step<'a, Result<Payload, CallError>> {
        self.0.invoke(from, call)
    }

    fn cancel<'a>(
        &'a self,
        from: Option<&'a Context>,
        cid: Cid,
        with_tree: bool,
    ) -> Step<'a, Result<Cancellation, CallError>> {
        self.0.cancel(from, cid, with_tree)
    }

    fn cancelled<'a>(&'a self, context: &'a Context) -> Step<'a, ()> {
        self.0.cancelled(context)
    }
}
