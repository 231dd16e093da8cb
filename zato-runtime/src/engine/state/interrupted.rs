//! Invocations that do not start in this process any more: a shutdown interrupted them, or they wait for the key of
//! one.
//!
//! A drain does not wait for it, so it does not count as waiting.

use zato_core::{Cid, Invocation};

use super::entry::{BlockedBy, Entry};
use super::state::State;
use super::store::Store;
use super::times::key_of;

impl<S: Store> State<S> {
    /// Whether the one that has the key of another is held back, and so is whatever comes for the key.
    pub(in crate::engine) fn is_lane_held_back(&self, service: u32, invocation: &Invocation) -> bool {
        key_of(invocation).is_some_and(|key| self.queues.of(service).lanes.is_held_back(key))
    }

    /// Holds back what waits for the key of an invocation that a shutdown has interrupted. It looks at the whole lane,
    /// once for each interrupted invocation that has a key.
    pub(in crate::engine) fn hold_lane_back(&mut self, service: u32, invocation: &Invocation) {
        if let Some(key) = key_of(invocation) {
            self.queues.of_mut(service).lanes.hold_back(key);
        }
        for cid in self.behind(service, invocation) {
            if let Some(payload) = self.swap_hold(cid, BlockedBy::Key, BlockedBy::Restart) {
                self.count_out(service, payload);
            }
        }
    }

    /// The one that was held back has ended: what waits for its key counts again.
    pub(in crate::engine) fn let_lane_go(&mut self, service: u32, invocation: &Invocation) {
        for cid in self.behind(service, invocation) {
            if let Some(payload) = self.swap_hold(cid, BlockedBy::Restart, BlockedBy::Key) {
                self.count_in(service, payload);
            }
        }
    }

    /// What stands in the lane of this one, but for itself.
    fn behind(&self, service: u32, invocation: &Invocation) -> Vec<Cid> {
        let Some(key) = key_of(invocation) else { return Vec::new() };
        self.queues.of(service).lanes.all(key).filter(|cid| *cid != invocation.cid).collect()
    }

    /// Answers with the size of its payload if it was held so.
    fn swap_hold(&mut self, cid: Cid, from: BlockedBy, to: BlockedBy) -> Option<usize> {
        match self.held.get_mut(&cid)? {
            Entry::Waiting(waiting) if waiting.hold == from => {
                waiting.hold = to;
                Some(waiting.invocation.payload.len())
            }
            _ => None,
        }
    }
}
