//! Calls from outside that were taken and are not in the state yet.
//!
//! A caller outside of the workers does not lock the state, which the workers need: it appends its call here, and whoever
//! locks the state next puts it in first. So whoever looks finds every call that was made before, in the order in which
//! the calls were made.
//!
//! A call that comes this way has been taken for good: there is room for it (`room`), it asks for nothing that the state
//! must check, and a shutdown closes the inbox before it empties it. A call for which a timer is set goes to the state at
//! once: all workers may be blocked, and the thread that watches learns of timers from the state.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use zato_core::Invocation;

use crate::base::cache_padded::CachePadded;
use crate::base::lock::lock;
use crate::record::Accept;

/// The most bytes of payload in a call that comes this way; `room` counts calls of that size.
pub(super) const MOST_BYTES: usize = 1_024;

/// The most calls that may come before the state is locked.
const MOST_CALLS: i64 = 4_096;

#[derive(Debug, Default)]
pub(super) struct Inbox {
    calls: CachePadded<Mutex<Calls>>,
    /// The number of calls. Written under the lock of `calls`.
    count: CachePadded<AtomicUsize>,
    /// The number of calls for which there is room. Written under the lock of the state, counted down under the lock of
    /// `calls`.
    room: CachePadded<AtomicI64>,
}

#[derive(Debug, Default)]
struct Calls {
    all: Vec<Arc<Invocation>>,
    /// An empty vector with room, for the next.
    spare: Vec<Arc<Invocation>>,
    /// Set when a shutdown begins.
    is_closed: bool,
}

impl Inbox {
    /// Takes a call from outside, if it asks for nothing and there is room. Otherwise returns the call: the state is to take
    /// it.
    pub(super) fn push(&self, accept: Accept) -> Option<Accept> {
        if !asks_for_nothing(&accept) || self.room.load(Ordering::Relaxed) <= 0 {
            return Some(accept);
        }
        let mut calls = lock(&self.calls);
        if calls.is_closed || self.room.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return Some(accept);
        }
        calls.all.push(accept.invocation);
        self.count.store(calls.all.len(), Ordering::SeqCst);
        None
    }

    /// Takes all calls, in the order in which they were made. Called under the lock of the state.
    pub(super) fn take(&self) -> Vec<Arc<Invocation>> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let mut calls = lock(&self.calls);
        let spare = std::mem::take(&mut calls.spare);
        let all = std::mem::replace(&mut calls.all, spare);
        self.count.store(0, Ordering::SeqCst);
        all
    }

    /// Gives an empty vector back for the next calls.
    pub(super) fn reuse(&self, mut calls: Vec<Arc<Invocation>>) {
        calls.clear();
        if calls.capacity() > 0 {
            lock(&self.calls).spare = calls;
        }
    }

    /// Refuses all calls from now on.
    pub(super) fn close(&self) {
        lock(&self.calls).is_closed = true;
    }

    /// Sets the room, where so many more calls may wait than the state holds. Called under the lock of the state: always after
    /// calls were taken, and otherwise where there is less room than before.
    ///
    /// Half of the room is given, less what has come since the calls were taken: a caller that counts the room down right now
    /// may do so before this, and be counted nowhere.
    pub(super) fn set_room(&self, more: i64, has_taken: bool) {
        let room = |come: i64| ((more - come) / 2).min(MOST_CALLS);
        if has_taken || room(0) < self.room.load(Ordering::Relaxed) {
            let come = i64::try_from(self.count.load(Ordering::SeqCst)).unwrap_or(i64::MAX);
            self.room.store(room(come), Ordering::Relaxed);
        }
    }
}

/// Whether a call is one from outside that needs nothing from the state.
fn asks_for_nothing(accept: &Accept) -> bool {
    let is_plain = matches!(
        accept,
        Accept { by: None, tell: None, brings_cid: false, key: None, digest: None, members: None, .. }
    );
    is_plain
        && accept.invocation.payload.len() <= MOST_BYTES
        && !has_timer(&accept.invocation)
        && accept.invocation.again_of().is_none()
}

/// Whether a timer is set for an invocation while it waits.
fn has_timer(invocation: &Invocation) -> bool {
    let expires = invocation.options.as_deref().and_then(|options| options.expires);
    invocation.due.is_some() || invocation.deadline.is_some() || expires.is_some()
}

#[cfg(test)]
mod tests {
    use zato_core::{Channel, Payload, ServiceName};

    use super::*;
    use crate::base::cid;

    fn call() -> Accept {
        let service = ServiceName::linked("inbox.called");
        let invocation = Invocation::root(cid::mint(None), service, Payload::empty(), Channel::InvokeAsync);
        let (by, tell, key, digest, members) = (None, None, None, None, None);
        Accept { invocation: Arc::new(invocation), by, tell, brings_cid: false, key, digest, members }
    }

    /// Makes calls until there is no room.
    fn fill(inbox: &Inbox) {
        while inbox.push(call()).is_none() {}
    }

    #[test]
    fn calls_that_come_while_others_are_taken_find_no_more_room_than_there_is() {
        let (inbox, most) = (Inbox::default(), 100);
        let mut waiting = 0;
        inbox.set_room(most, true);
        for _ in 0..20 {
            // A call that goes to the state, during which others come.
            waiting += i64::try_from(inbox.take().len()).expect("a few");
            fill(&inbox);
            waiting += i64::from(waiting < most);
            inbox.set_room(most - waiting, true);
            fill(&inbox);
        }
        waiting += i64::try_from(inbox.take().len()).expect("a few");
        assert_eq!(waiting, most);
    }
}
