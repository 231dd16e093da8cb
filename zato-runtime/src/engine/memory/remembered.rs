//! What has ended and is remembered: the last so many, with so many bytes, for so long.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use zato_core::{Cid, Moment};

/// The order in which invocations ended, and what they hold; the oldest are forgotten first.
#[derive(Debug)]
pub(super) struct Remembered {
    order: VecDeque<One>,
    /// Those that were discarded: they stand in the order and count no longer.
    discarded: HashSet<Cid>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    longest: Duration,
}

#[derive(Debug)]
struct One {
    cid: Cid,
    bytes: usize,
    ended_at: Moment,
}

impl Remembered {
    pub(super) fn new(most: usize, most_bytes: usize, longest: Duration) -> Self {
        Self { order: VecDeque::new(), discarded: HashSet::new(), bytes: 0, most, most_bytes, longest }
    }

    /// Notes one more.
    pub(super) fn push(&mut self, cid: Cid, bytes: usize, ended_at: Moment) {
        self.order.push_back(One { cid, bytes, ended_at });
        self.bytes += bytes;
    }

    /// Somebody has discarded one that held so many bytes.
    pub(super) fn discard(&mut self, cid: Cid, bytes: usize) {
        self.bytes -= bytes;
        self.discarded.insert(cid);
        if self.discarded.len() * 2 > self.order.len() {
            let discarded = &mut self.discarded;
            self.order.retain(|one| !discarded.remove(&one.cid));
        }
    }

    /// The oldest, as long as there are too many, or it is too old.
    pub(super) fn pop_surplus(&mut self, now: Moment) -> Option<Cid> {
        if self.order.is_empty() {
            return None;
        }
        if !self.discarded.is_empty() {
            while self.order.pop_front_if(|one| self.discarded.remove(&one.cid)).is_some() {}
        }
        let count = self.order.len() - self.discarded.len();
        let is_surplus = count > self.most || self.bytes > self.most_bytes;
        let longest = self.longest;
        let is_old = |one: &One| now.since(one.ended_at) > longest;
        let oldest = self.order.pop_front_if(|one| is_surplus || is_old(one))?;
        self.bytes -= oldest.bytes;
        Some(oldest.cid)
    }
}
