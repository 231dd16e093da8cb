//! The invocations that follow from an outcome: callbacks, failure callbacks, and the next step of a chain.

use std::sync::Arc;

use zato_core::{Channel, Cid, FailureReport, Invocation, Moment, Outcome, Payload, ServiceName};

use crate::base::cid;
use crate::base::format::rfc3339;
use crate::bus::core::BusCore;
use crate::record::{Batch, Ended};

/// The invocations that follow from an outcome: the next step of a chain, or callbacks.
pub(super) fn follow_ups(shared: &BusCore, ended: &Ended) -> Batch<Arc<Invocation>> {
    if ended.invocation.channel != Channel::ChainStep {
        return callbacks(ended, None, |at, target| shared.mint(at, Some(target)));
    }
    let step = &ended.invocation;
    let next = |response: &Payload| {
        step.next_step(cid::mint(Some(step.cid)), response.clone(), ended.ended_at).map(Arc::new)
    };
    ended.outcome.payload().and_then(next).into_iter().collect()
}

/// The invocations that carry an outcome to those who are to receive it. `step` is the one that ended a chain.
pub(super) fn callbacks(
    ended: &Ended,
    step: Option<&str>,
    mint: impl Fn(Moment, Cid) -> Cid,
) -> Batch<Arc<Invocation>> {
    let invocation = &ended.invocation;
    let (names, payload) = match &ended.outcome {
        Outcome::Completed(response) => (&invocation.callbacks, response.clone()),
        _ if invocation.on_failure.is_empty() => return Batch::new(),
        _ => (&invocation.on_failure, report(ended, step)),
    };
    if names.is_empty() {
        return Batch::new();
    }
    let at = ended.ended_at;
    let callback = |name: &ServiceName, payload| {
        Arc::new(invocation.callback(mint(at, invocation.cid), *name, payload, at))
    };
    match &names[..] {
        [name] => Batch::from_buf([callback(name, payload)]),
        names => names.iter().map(|name| callback(name, payload.clone())).collect(),
    }
}

/// The payload of failure callbacks.
fn report(ended: &Ended, step: Option<&str>) -> Payload {
    let times = (ended.started_at.map(rfc3339), rfc3339(ended.ended_at));
    let invocation = &ended.invocation;
    let mut report = FailureReport::new(
        invocation.cid,
        &invocation.service,
        &ended.outcome,
        ended.attempts,
        &invocation.payload,
        times,
    );
    report.step = step.map(str::to_owned);
    match Payload::write(&report) {
        Ok(payload) => payload,
        Err(error) => unreachable!("strings and numbers are always JSON: {error}"),
    }
}
