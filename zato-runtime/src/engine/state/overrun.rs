//! Attempts that have ended while their handler still blocks a thread.

use super::entry::BlockedBy;
use super::state::State;
use super::store::Store;
use crate::record::AttemptId;

impl<S: Store> State<S> {
    /// The handler of an attempt that is over has been dropped: its place is free, and its key, and the next attempt
    /// may start.
    pub(in crate::engine) fn release(&mut self, id: AttemptId) {
        let Some(lingering) = self.overruns.remove(&id) else { return };
        self.running -= 1;
        self.queues.ended(lingering.service);
        if lingering.has_ended {
            self.leave_lane(&lingering.invocation);
        }
        let Some(next) = lingering.next else { return };
        let Some(waiting) = self.still_waiting(next) else { return };
        if waiting.hold != BlockedBy::Release {
            return;
        }
        let at = waiting.before.as_ref().and_then(|before| before.next_at);
        let (invocation, service) = (waiting.invocation.clone(), waiting.service);
        let hold = match at {
            None => BlockedBy::Restart,
            Some(_) => self.line_up(service, &invocation, next, at),
        };
        if hold == BlockedBy::Restart {
            self.count_out(service, invocation.payload.len());
        }
        self.set_hold(next.cid, hold);
        if hold == BlockedBy::Restart {
            self.hold_lane_back(service, &invocation);
        }
    }
}
