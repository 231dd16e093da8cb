//! Calls that belong together: `parallel`, `fan_out` and `chain`, as groups of ordinary invocations.

use std::sync::Arc;

use zato_core::bus::{Chosen, GroupCall};
use zato_core::{
    CallError, Channel, Cid, Context, Invocation, OptionError, Options, Payload, ServiceName, Slot,
};

use super::accept::{AcceptExtras, Announced, call_error, check, resolve, submit};
use crate::base::cid;
use crate::bus::core::BusCore;
use crate::record::{Algorithm, described};

/// How many members of a group are handed to the engine at once.
const CHUNK: usize = 1_024;

/// Accepts calls that belong together: all of them, or none.
pub(crate) async fn accept_group(
    shared: &BusCore,
    from: Option<&Context>,
    call: GroupCall<'_>,
) -> Result<Cid, CallError> {
    if let Some(refused) = call.refused {
        return Err(refused.into());
    }
    let on_target = resolve(shared, "target's callback", &Chosen::These(call.on_target.into()), None)?;
    let caller = from.and_then(|context| shared.registry.get(context.service()));
    let convention = caller.and_then(|caller| caller.callback.as_ref());
    let role = if call.channel == Channel::Chain { "callback" } else { "final callback" };
    let callbacks = resolve(shared, role, &call.callbacks, convention)?;
    let convention = caller.and_then(|caller| caller.on_failure.as_ref());
    let on_failure = resolve(shared, "failure callback", &call.on_failure, convention)?;
    let then = resolve(shared, "step", &Chosen::These(call.then.into()), None)?;
    let cid = cid::mint(from.map(Context::cid));
    let name = ServiceName::linked(call.channel.group_name().unwrap_or("zato.fan-out"));
    let mut group = match from {
        None => Invocation::root(cid, name, Payload::empty(), call.channel),
        Some(context) => context.invocation().child(cid, name, Payload::empty(), call.channel),
    };
    group.called_at = shared.config.clock.now();
    (group.callbacks, group.on_failure) = (callbacks, on_failure);
    group.labels = group.labels.and(&call.labels).map_err(OptionError::from)?;
    let count = u32::try_from(call.calls.len()).unwrap_or(u32::MAX);
    let is_chain = call.channel == Channel::Chain;
    let channel = if is_chain { Channel::ChainStep } else { Channel::InvokeAsync };
    let labels = call.labels;
    let mut members: Vec<Arc<Invocation>> = Vec::with_capacity(call.calls.len());
    for (index, call) in (0..count).zip(call.calls) {
        let mut checked = check(shared, from, call, channel)?;
        if !labels.is_empty() {
            checked.labels = labels.and(&checked.labels).map_err(OptionError::from)?;
        }
        let mut invocation = checked.invocation(shared, from, channel)?;
        // Nobody else has it yet.
        let member = Arc::make_mut(&mut invocation);
        member.root = group.root;
        member.slot = Some(Slot { group: cid, index });
        if is_chain {
            member.callbacks.clone_from(&then);
            member.on_failure.clear();
        } else {
            member.callbacks.clone_from(&on_target);
            member.on_failure.clone_from(&on_target);
        }
        members.push(invocation);
    }
    if is_chain {
        describe_chain(&mut group, &members);
    } else {
        let is_compared = from.is_some();
        let compared = is_compared.then(|| (shared.digests(), &members[..]));
        describe_members(&mut group, members.len(), compared);
    }
    stage_and_accept(shared, from, Arc::new(group), members).await
}

/// Has the engine accept a group with all its members, or nothing.
pub(crate) async fn stage_and_accept(
    shared: &BusCore,
    from: Option<&Context>,
    group: Arc<Invocation>,
    members: Vec<Arc<Invocation>>,
) -> Result<Cid, CallError> {
    let (cid, count) = (group.cid, u32::try_from(members.len()).unwrap_or(u32::MAX));
    let limit = shared.max_waiting().saturating_mul(2);
    if members.len() > limit {
        return Err(CallError::TooMany { members: members.len(), limit });
    }
    if from.is_none() {
        let bytes = members.iter().map(|member| member.payload.len()).sum();
        shared.engine.room(members.len(), bytes).await;
    }
    let entering: Vec<_> = members
        .iter()
        .map(|member| Announced::new(shared, member.cid, member.root, member.channel))
        .collect();
    let staged = Staged { shared, group: cid, is_taken: false };
    let mut members = members.into_iter();
    while members.len() > 0 {
        let chunk = members.by_ref().take(CHUNK).collect();
        shared.engine.stage(cid, chunk).await.map_err(|refused| call_error(shared, &refused, from))?;
    }
    let beside = AcceptExtras { members: Some(count), ..AcceptExtras::default() };
    let accepted = submit(shared, from, group, beside).await?;
    // Else an earlier attempt has made this call, and what was staged is dropped.
    if accepted == cid {
        staged.taken();
        entering.into_iter().for_each(Announced::taken);
    }
    Ok(accepted)
}

/// A chain is what it runs through, on the request of its first step.
fn describe_chain(chain: &mut Invocation, members: &[Arc<Invocation>]) {
    let Some(first) = members.first() else { return };
    chain.payload = first.payload.clone();
    let mut options = Options::default();
    options.steps = std::iter::once(&first.service).chain(&first.callbacks).copied().collect();
    chain.options = Some(Box::new(options));
}

/// Equal groups have equal members; nobody asks whether two are that were not called by a handler.
fn describe_members(group: &mut Invocation, count: usize, compared: Option<(Algorithm, &[Arc<Invocation>])>) {
    group.payload = match compared {
        None => Payload::text(format!("{count} members")),
        Some((digests, members)) => described(count, digests.members(members.iter().map(|member| &**member))),
    };
}

/// Members that are staged, until their group is taken. A caller may stop waiting before.
struct Staged<'a> {
    shared: &'a BusCore,
    group: Cid,
    is_taken: bool,
}

impl Staged<'_> {
    fn taken(mut self) {
        self.is_taken = true;
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if !self.is_taken {
            // An engine that takes time for it drops them when it is opened again.
            drop(self.shared.engine.unstage(self.group));
        }
    }
}
