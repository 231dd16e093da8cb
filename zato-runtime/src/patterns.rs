//! Calls that belong together: `parallel` and `fan_out`, as groups of ordinary invocations.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use zato_core::bus::{Chosen, GroupCall};
use zato_core::{CallError, Channel, Cid, Context, Invocation, Payload, ServiceName, Slot};

use crate::cid;
use crate::intake::{Beside, Entering, check, digest, hand_over, resolve, why};
use crate::shared::Shared;

/// How many members of a group are handed to the engine at once.
const CHUNK: usize = 1_024;

/// Accepts calls that belong together: all of them, or none.
pub(crate) async fn accept_group(
    shared: &Shared,
    from: Option<&Context>,
    call: GroupCall<'_>,
) -> Result<Cid, CallError> {
    let on_target = resolve(shared, "target's callback", Chosen::These(call.on_target.into()), None)?;
    let on_final = resolve(shared, "final callback", Chosen::These(call.on_final.into()), None)?;
    let cid = cid::mint();
    // The name is reserved, so no service has it.
    let name = ServiceName::Linked(match call.channel {
        Channel::Parallel => "zato.parallel",
        _ => "zato.fan-out",
    });
    let mut group = match from {
        None => Invocation::root(cid, name, Payload::empty(), call.channel),
        Some(context) => context.invocation().child(cid, name, Payload::empty(), call.channel),
    };
    group.callbacks = on_final;
    let count = u32::try_from(call.calls.len()).unwrap_or(u32::MAX);
    let mut members = Vec::with_capacity(call.calls.len());
    for (index, call) in (0..count).zip(call.calls) {
        let mut member = check(shared, from, call, Channel::InvokeAsync)?;
        member.root = group.root;
        member.slot = Some(Slot { group: cid, index });
        member.callbacks.clone_from(&on_target);
        member.on_failure.clone_from(&on_target);
        members.push(Arc::new(member));
    }
    // Equal groups have equal members.
    let mut hasher = DefaultHasher::new();
    for member in &members {
        digest(member).hash(&mut hasher);
    }
    group.payload = Payload::text(format!("{count} members, {:016x}", hasher.finish()));
    let entering: Vec<_> = members.iter().map(|member| Entering::new(shared, member)).collect();
    let staged = Staged { shared, group: cid, is_taken: false };
    while !members.is_empty() {
        let rest = members.split_off(members.len().min(CHUNK));
        let chunk = std::mem::replace(&mut members, rest);
        shared.engine.stage(cid, chunk).await.map_err(|refused| why(&refused, from))?;
    }
    let beside = Beside { members: Some(count), ..Beside::default() };
    let accepted = hand_over(shared, from, group, beside).await?;
    // Else an earlier attempt has made this call, and what was staged is dropped.
    if accepted == cid {
        staged.taken();
        entering.into_iter().for_each(Entering::taken);
    }
    Ok(accepted)
}

/// Members that are staged, until their group is taken. A caller may stop waiting before.
struct Staged<'a> {
    shared: &'a Shared,
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
