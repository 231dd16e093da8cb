//! The bus that contexts and runtimes call: asynchronous calls are handed to the engine, synchronous ones run here.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use zato_core::bus::{Bus, Call, GroupCall, Step};
use zato_core::{CallError, Cancellation, Cid, Context, Payload};

use super::accept;
use super::cancel::cancel;
use super::groups;
use super::nested::{NestedCall, response};
use crate::attempt::cancellation::CancelToken;
use crate::bus::core::{BusCore, Phase};
use crate::record::AttemptId;

impl Bus for BusCore {
    fn accept<'a>(&'a self, from: Option<&'a Context>, call: Call<'a>) -> Step<'a, Result<Cid, CallError>> {
        accept::accept(self, from, call)
    }

    fn group<'a>(
        &'a self,
        from: Option<&'a Context>,
        call: GroupCall<'a>,
    ) -> Step<'a, Result<Cid, CallError>> {
        Step::later(groups::accept_group(self, from, call))
    }

    fn invoke<'a>(
        &'a self,
        from: Option<&'a Context>,
        call: Call<'a>,
    ) -> Step<'a, Result<Payload, CallError>> {
        match from {
            Some(context) if !self.is_live(context) => Step::now(Err(accept::context_over(context))),
            Some(context) => match NestedCall::enter(self, context, call) {
                Ok(inner) => Step::later(inner.run()),
                Err(refused) => Step::now(Err(refused)),
            },
            None => Step::later(from_outside(self, call)),
        }
    }

    fn invoke_all<'a>(
        &'a self,
        from: Option<&'a Context>,
        calls: Vec<Call<'a>>,
    ) -> Step<'a, Vec<Result<Payload, CallError>>> {
        Step::later(async move {
            let mut answers: Vec<_> = calls.iter().map(|_| None).collect();
            let call = |(index, call)| async move { (index, self.invoke(from, call).await) };
            let mut running: FuturesUnordered<_> = calls.into_iter().enumerate().map(call).collect();
            while let Some((index, answer)) = running.next().await {
                answers[index] = Some(answer);
            }
            answers.into_iter().flatten().collect()
        })
    }

    fn cancel<'a>(
        &'a self,
        from: Option<&'a Context>,
        cid: Cid,
        with_tree: bool,
    ) -> Step<'a, Result<Cancellation, CallError>> {
        Step::later(async move {
            if let Some(context) = from.filter(|context| !self.is_live(context)) {
                return Err(accept::context_over(context));
            }
            let mut is_begun = false;
            let cancelled = cancel(self, cid, with_tree, &mut is_begun).await;
            cancelled
                .map_err(|fault| if is_begun { fault.after_a_change() } else { fault }.of_call(Some(cid)))?
                .ok_or(CallError::NotHeld(cid))
        })
    }

    fn now(&self) -> SystemTime {
        self.config.clock.look();
        self.config.clock.system_time()
    }

    fn cancelled<'a>(&'a self, context: &'a Context) -> Step<'a, ()> {
        Step::later(async move {
            if let Some(stop) = stop_of(self, context) {
                phase_or(self, Phase::Stopping, &stop, stop.asked()).await;
            }
        })
    }

    fn shutting_down<'a>(&'a self, context: &'a Context) -> Step<'a, ()> {
        Step::later(async move {
            if let Some(stop) = stop_of(self, context) {
                phase_or(self, Phase::Draining, &stop, stop.over()).await;
            }
        })
    }
}

/// Returns the stop signals of the attempt that a context belongs to; `None` if it is over.
fn stop_of(shared: &BusCore, context: &Context) -> Option<Arc<CancelToken>> {
    if !shared.is_live(context) {
        return None;
    }
    let anchor = AttemptId::around(context);
    let stop = shared.attempts.stop(anchor);
    if !shared.engine.is_running(anchor) {
        // It ended in between, and nobody would forget it.
        shared.attempts.forget(anchor);
        return None;
    }
    Some(stop)
}

/// Resolves when a shutdown has come so far, which the attempt has seen then, or when `other` resolves.
async fn phase_or(shared: &BusCore, phase: Phase, stop: &CancelToken, other: impl Future<Output = ()>) {
    let mut phases = shared.phase.subscribe();
    let (mut comes, mut other) = (pin!(phases.wait_for(|now| *now >= phase)), pin!(other));
    poll_fn(|cx| match comes.as_mut().poll(cx) {
        // The sender lives in `shared`, so this ends by the value alone.
        Poll::Ready(_) => {
            stop.sees_shutdown();
            Poll::Ready(())
        }
        Poll::Pending => other.as_mut().poll(cx),
    })
    .await;
}

/// A synchronous call from outside takes its turn as every other does, and is waited for. It is recorded when it ends: its
/// caller receives the response once that is done, or learns that it cannot be done now.
async fn from_outside(shared: &BusCore, call: Call<'_>) -> Result<Payload, CallError> {
    let service = call.target.to_string();
    let (accepted, told) = accept::accept_told(shared, call)?;
    let cid = accepted.await?;
    let (mut told, mut unrecorded) = (told, shared.engine.unrecorded(cid));
    let told = poll_fn(|cx| match Pin::new(&mut told).poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Ok(outcome)),
        Poll::Pending => Pin::new(&mut unrecorded).poll(cx).map(Err),
    });
    let told = told.await.map_err(|fault| fault.of_call(Some(cid)))?;
    match told {
        Ok(outcome) => response(&service, cid, outcome),
        Err(_) => Err(CallError::Interrupted { service, cid }),
    }
}
