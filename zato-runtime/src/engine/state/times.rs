//! When an invocation starts and ends, and its concurrency key: what follows from the invocation alone.

use std::time::SystemTime;

use zato_core::Invocation;

use crate::record::Progress;

/// When one that waits may start; none where it may at once.
pub(in crate::engine) fn starts_at(invocation: &Invocation, before: Option<&Progress>) -> Option<SystemTime> {
    before.and_then(|before| before.next_at).or(invocation.due.map(Into::into))
}

/// When one that waits is to be ended: one that has not been tried expires, and each has its deadline.
pub(in crate::engine) fn ends_at(invocation: &Invocation, is_tried: bool) -> Option<SystemTime> {
    let expires = invocation.options.as_deref().and_then(|options| options.expires).filter(|_| !is_tried);
    let expires = expires.map(|when| when.from(invocation.called_at.into()));
    [expires, invocation.deadline.map(SystemTime::from)].into_iter().flatten().min()
}

/// The concurrency key that an invocation was called with.
pub(in crate::engine) fn key_of(invocation: &Invocation) -> Option<&str> {
    invocation.options.as_deref()?.concurrency_key.as_deref()
}
