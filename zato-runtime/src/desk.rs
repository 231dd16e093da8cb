//! A door of a worker's own, through which the handlers call that it runs.
//!
//! A context holds on to its door. If all held the one, workers would count up and down in the same place for every
//! attempt, and wait for each other there.

use std::sync::Arc;

use zato_core::bus::{Bus, Call, GroupCall, Step};
use zato_core::{CallError, Cancellation, Cid, Context, Payload};

use crate::shared::Shared;

pub(crate) struct Desk(Arc<Shared>);

impl Desk {
    pub(crate) fn of(shared: &Arc<Shared>) -> Arc<dyn Bus> {
        Arc::new(Self(shared.clone()))
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
