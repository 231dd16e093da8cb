//! Dead letters, which are invocations that did not complete: they are run again, or discarded.

use std::sync::Arc;

use zato_core::{CallError, Channel, Cid, Invocation, Outcome, Slot};

use super::accept::{AcceptExtras, submit};
use super::groups::stage_and_accept;
use crate::base::cid;
use crate::bus::core::BusCore;
use crate::engine::StoreFault;
use crate::record::Batch;
use crate::record::lookup::{DiscardAnswer, InvocationInfo, Status};

/// Runs a dead letter again: in the same tree, under a new CID.
pub(crate) async fn run_again(shared: &BusCore, cid: Cid) -> Result<Cid, CallError> {
    let found = shared.find(cid).await.map_err(unread)?.ok_or(CallError::NotHeld(cid))?;
    if !found.is_dead() {
        return Err(not_dead(&found));
    }
    let first = found.invocation;
    let again = first.again(cid::mint(Some(first.cid)), shared.config.clock.now());
    match first.channel {
        Channel::Chain => {
            let step =
                first_step(&again).ok_or(CallError::NotDead { cid, why: "it has no steps".to_owned() })?;
            stage_and_accept(shared, None, Arc::new(again), vec![Arc::new(step)]).await
        }
        Channel::FanOut | Channel::Parallel => {
            let why = "it is a group: run those of its members again that are dead letters".to_owned();
            Err(CallError::NotDead { cid, why })
        }
        _ if shared.registry.get(&first.service).is_none() => {
            Err(shared.registry.unknown("target", &first.service).into())
        }
        _ => submit(shared, None, Arc::new(again), AcceptExtras::default()).await,
    }
}

/// Forgets a dead letter.
pub(crate) async fn discard(shared: &BusCore, cid: Cid) -> Result<(), CallError> {
    let discarded = shared.engine.discard([cid].into_iter().collect::<Batch<_>>()).await;
    match discarded.map_err(|fault| fault.of_call(Some(cid)))?.pop() {
        Some(DiscardAnswer::Discarded) => Ok(()),
        Some(DiscardAnswer::NotDead) => match shared.find(cid).await.map_err(unread)? {
            Some(found) => Err(not_dead(&found)),
            None => Err(CallError::NotHeld(cid)),
        },
        Some(DiscardAnswer::NotHeld) | None => Err(CallError::NotHeld(cid)),
    }
}

/// A look-up failed, and nothing was changed before it.
fn unread(fault: StoreFault) -> CallError {
    fault.before_any_change().of_call(None)
}

/// The first step of a chain that is run again.
fn first_step(chain: &Invocation) -> Option<Invocation> {
    let (service, after) = chain.options.as_deref()?.steps.split_first()?;
    let mut step =
        Invocation::root(cid::mint(Some(chain.cid)), *service, chain.payload.clone(), Channel::ChainStep);
    step.caller.clone_from(&chain.caller);
    (step.parent, step.root, step.depth) = (chain.parent, chain.root, chain.depth);
    step.called_at = chain.called_at;
    step.labels.clone_from(&chain.labels);
    step.slot = Some(Slot { group: chain.cid, index: 0 });
    step.callbacks = after.iter().copied().collect();
    Some(step)
}

fn not_dead(found: &InvocationInfo) -> CallError {
    let why = match &found.status {
        Status::Ended { again: Some(again), .. } => format!("it has been run again, as {again}"),
        Status::Ended { ended, .. } if ended.outcome.is_completed() => "it completed".to_owned(),
        Status::Ended { ended, .. } => match ended.invocation.slot {
            Some(slot) if ended.invocation.channel == Channel::ChainStep => {
                format!("it is a step of the chain {}, which is", slot.group)
            }
            Some(slot) if found.is_dead() => {
                format!("its group {} has not ended and needs its outcome: discard it after that", slot.group)
            }
            _ if matches!(ended.outcome, Outcome::Lost(_)) => {
                "it was called synchronously, and the process that waited for it has ended: call it again"
                    .to_owned()
            }
            _ => "it was called synchronously, and its caller received the outcome".to_owned(),
        },
        _ => "it has not ended".to_owned(),
    };
    CallError::NotDead { cid: found.cid(), why }
}
