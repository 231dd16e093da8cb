//! Cancels an invocation, alone or with the tree below it.

use std::collections::HashSet;

use zato_core::{Cancellation, Channel, Cid, Invocation, Outcome};

use crate::attempt::retry::AttemptResult;
use crate::bus::core::BusCore;
use crate::engine::StoreFault;
use crate::record::lookup::{InvocationInfo, Status};
use crate::record::{Batch, CancelAnswer};

/// How often the tree below what is cancelled is looked at again.
const MOST_LOOKS: usize = 64;

/// Cancels an invocation, with the tree below it if asked; `None` if it is not held. Sets `is_begun` once anything has been
/// changed.
pub(super) async fn cancel(
    shared: &BusCore,
    cid: Cid,
    with_tree: bool,
    is_begun: &mut bool,
) -> Result<Option<Cancellation>, StoreFault> {
    let waited = if with_tree {
        tree_of_waiting(shared, cid).await.map_err(StoreFault::before_any_change)?
    } else {
        None
    };
    // Listens before the cancel: where nothing is kept that has ended, nobody can be asked after it.
    let outcome = shared.engine.outcome(cid);
    let mut all = Batch::new();
    all.push(cid);
    let Some(first) = cancel_all(shared, all, with_tree).await?.into_iter().next().flatten() else {
        return Ok(None);
    };
    *is_begun = true;
    // A group is its members.
    if with_tree || matches!(first, CancelAnswer::Open) {
        let below = match waited {
            // It has not run since, so that only those are new who are told of its end.
            Some((attempts, below))
                if matches!(first, CancelAnswer::Ending)
                    && attempts_of(shared, cid).await? == Some(attempts) =>
            {
                below.into_iter().collect()
            }
            _ => tree_of_running(shared, cid, with_tree, matches!(first, CancelAnswer::Ended(_))).await?,
        };
        let mut seen: HashSet<Cid> = below.iter().copied().chain([cid]).collect();
        cancel_all(shared, below, with_tree).await?;
        // What ran may have invoked more between that look and its note. One generation of those that were not noted
        // in time is found by each look.
        for _ in 0..if with_tree { MOST_LOOKS } else { 0 } {
            let more = tree_since(shared, cid, &seen).await?;
            if more.is_empty() {
                break;
            }
            seen.extend(&more);
            cancel_all(shared, more, with_tree).await?;
        }
    }
    Ok(Some(match first {
        CancelAnswer::Ended(outcome) => Cancellation::Ended(outcome),
        CancelAnswer::Noted(_) | CancelAnswer::Open => Cancellation::Requested,
        CancelAnswer::Ending => match outcome.await? {
            Some(Outcome::Cancelled(_)) => Cancellation::Cancelled,
            Some(other) => Cancellation::Ended(other),
            None => return Ok(None),
        },
    }))
}

/// How many attempts of an invocation that waits have been made, and what is below it; `None` if it does not wait.
async fn tree_of_waiting(shared: &BusCore, cid: Cid) -> Result<Option<(u32, Vec<Cid>)>, StoreFault> {
    match shared.find(cid).await? {
        Some(InvocationInfo { status: Status::Waiting(_), attempts, .. }) => {
            Ok(Some((attempts, shared.engine.below(cid).await?)))
        }
        _ => Ok(None),
    }
}

/// What is to be cancelled with an invocation: of a group without its tree, its members. What runs may invoke more
/// until it is noted: that is noted by then. Who is told of an end that has come since is no part of it.
async fn tree_of_running(
    shared: &BusCore,
    cid: Cid,
    with_tree: bool,
    had_ended: bool,
) -> Result<Batch<Cid>, StoreFault> {
    let below = shared.engine.below(cid).await?.into_iter().collect();
    let is_meant = |found: &InvocationInfo| {
        let invocation: &Invocation = &found.invocation;
        if with_tree {
            had_ended || invocation.in_reply_to() != Some(cid)
        } else {
            invocation.slot.is_some_and(|slot| slot.group == cid)
        }
    };
    let found = shared.engine.find(below).await?.into_iter().flatten();
    Ok(found.filter(is_meant).map(|found| found.cid()).collect())
}

/// What others that were seen below an invocation have called since; but for those who are told of an end.
async fn tree_since(shared: &BusCore, cid: Cid, seen: &HashSet<Cid>) -> Result<Batch<Cid>, StoreFault> {
    let below = shared.engine.below(cid).await?.into_iter();
    let more: Batch<Cid> = below.filter(|cid| !seen.contains(cid)).collect();
    if more.is_empty() {
        return Ok(more);
    }
    let mut meant = Batch::new();
    for found in shared.engine.find(more).await?.into_iter().flatten() {
        let is_told = found.invocation.in_reply_to().is_some_and(|of| seen.contains(&of));
        if !is_told && is_called_by(shared, &found.invocation, seen).await? {
            meant.push(found.cid());
        }
    }
    Ok(meant)
}

/// Whether one of these has called an invocation, or has inside its synchronous calls.
async fn is_called_by(
    shared: &BusCore,
    invocation: &Invocation,
    these: &HashSet<Cid>,
) -> Result<bool, StoreFault> {
    let mut above = invocation.slot.map(|slot| slot.group).or(invocation.parent);
    while let Some(cid) = above.filter(|cid| !these.contains(cid)) {
        match shared.find(cid).await? {
            // It is a synchronous call of an attempt that still runs: nothing else is called and not held.
            None => return Ok(true),
            Some(found) if found.invocation.channel == Channel::Invoke => above = found.invocation.parent,
            Some(_) => return Ok(false),
        }
    }
    Ok(above.is_some())
}

async fn attempts_of(shared: &BusCore, cid: Cid) -> Result<Option<u32>, StoreFault> {
    Ok(shared.find(cid).await?.map(|found| found.attempts))
}

async fn cancel_all(
    shared: &BusCore,
    all: Batch<Cid>,
    with_tree: bool,
) -> Result<Batch<Option<CancelAnswer>>, StoreFault> {
    let answers = shared.engine.cancel(all, with_tree).await?;
    for answer in &answers {
        if let Some(CancelAnswer::Noted(delivery)) = answer {
            let attempt = delivery.id();
            shared.attempts.ask(attempt);
            let grace = shared.config.cancel_grace;
            shared.watch.note(delivery, grace, AttemptResult::Stopped(grace));
            if !shared.engine.is_running(attempt) {
                // It ended in between, and nobody would forget it.
                shared.attempts.forget(attempt);
            }
        }
    }
    Ok(answers)
}
