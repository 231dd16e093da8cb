//! Concurrency keys: what has the same runs one at a time, in the order in which it was accepted.

use std::collections::{HashMap, VecDeque};

use zato_core::Cid;

use super::queues::Ticket;

/// The lanes of one service, one for each key. What stands first in a lane has its key, until it has ended.
#[derive(Debug, Default)]
pub(in crate::engine) struct Lanes {
    by_key: HashMap<Box<str>, VecDeque<Ticket>>,
}

impl Lanes {
    /// Puts one more at the end; answers whether it stands first.
    pub(in crate::engine) fn enter(&mut self, key: &str, ticket: Ticket) -> bool {
        if let Some(lane) = self.by_key.get_mut(key) {
            lane.push_back(ticket);
            return false;
        }
        self.by_key.insert(key.into(), VecDeque::from([ticket]));
        true
    }

    /// One has ended. If it stood first, answers with the one that now does; those that `waits` says no of have ended
    /// before their turn.
    pub(in crate::engine) fn leave(
        &mut self,
        key: &str,
        cid: Cid,
        waits: impl Fn(&Ticket) -> bool,
    ) -> Option<Ticket> {
        let lane = self.by_key.get_mut(key)?;
        if lane.front().is_none_or(|first| first.cid != cid) {
            return None;
        }
        lane.pop_front();
        while lane.pop_front_if(|next| !waits(next)).is_some() {}
        let first = lane.front().copied();
        if first.is_none() {
            self.by_key.remove(key);
        }
        first
    }

    /// Everything in a lane, void or not, from the first.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = Cid> {
        self.by_key.get(key).into_iter().flatten().map(|ticket| ticket.cid)
    }

    /// Who has the key.
    pub(in crate::engine) fn first(&self, key: &str) -> Option<Cid> {
        Some(self.by_key.get(key)?.front()?.cid)
    }
}
