//! Concurrency keys: what has the same runs one at a time, in the order in which it was accepted.
//!
//! A lane is held as long as anything is that stands in it. Where all is written down, that need be the first of it
//! alone, or nothing: what waits behind is read when its turn comes.

use std::collections::{HashMap, VecDeque};

use zato_core::Cid;

use super::queues::Ticket;

/// The lanes of one service, one for each key.
#[derive(Debug, Default)]
pub(in crate::engine) struct Lanes {
    by_key: HashMap<Box<str>, Lane>,
    /// How many stand in them and are known by heart.
    next: usize,
}

#[derive(Debug, Default)]
struct Lane {
    /// Who has the key, until it has ended; none where that is written down alone.
    first: Option<Ticket>,
    /// Who comes after it.
    next: VecDeque<Ticket>,
    /// Whether others may come after those: they are written down, or about to be.
    goes_on: bool,
    /// What of these is not known to be written down.
    unwritten: VecDeque<Ticket>,
}

/// Where one stands that has entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Entered {
    First,
    Behind,
    /// Behind, and it need not be held once it is written down.
    Beyond,
}

/// Who comes after the one that has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Next {
    First(Ticket),
    Nobody,
    /// What is written down says.
    Ask,
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.first.is_none() && self.next.is_empty() && self.unwritten.is_empty()
    }
}

impl Lanes {
    /// Puts one more at the end. `most` is how many are known by heart, and `is_there` tells whether something stands in
    /// the lane that is not held.
    pub(in crate::engine) fn enter(
        &mut self,
        key: &str,
        ticket: Ticket,
        most: usize,
        is_there: impl FnOnce() -> bool,
    ) -> Entered {
        if !self.by_key.contains_key(key) {
            let mut lane = Lane { goes_on: is_there(), ..Lane::default() };
            if !lane.goes_on {
                lane.first = Some(ticket);
                self.by_key.insert(key.into(), lane);
                return Entered::First;
            }
            self.by_key.insert(key.into(), lane);
        }
        let Some(lane) = self.by_key.get_mut(key) else { return Entered::First };
        if lane.goes_on || self.next >= most {
            lane.goes_on = true;
            lane.unwritten.push_back(ticket);
            return Entered::Beyond;
        }
        lane.next.push_back(ticket);
        self.next += 1;
        Entered::Behind
    }

    /// One is held again that has the key as it was written down. Answers whether it stands first: where services have
    /// been renamed, two may have had it.
    pub(in crate::engine) fn enter_again(&mut self, key: &str, ticket: Ticket) -> bool {
        let unknown = || Lane { goes_on: true, ..Lane::default() };
        let lane = self.by_key.entry(key.into()).or_insert_with(unknown);
        if lane.first.is_some() {
            lane.next.push_front(ticket);
            self.next += 1;
            return false;
        }
        lane.first = Some(ticket);
        true
    }

    /// One has ended. Answers whether it had the key.
    pub(in crate::engine) fn leave(&mut self, key: &str, cid: Cid) -> bool {
        let Some(lane) = self.by_key.get_mut(key) else { return false };
        if lane.first.is_some_and(|first| first.cid == cid) {
            lane.first = None;
            return true;
        }
        // What is known by heart is passed over when its turn comes.
        lane.unwritten.retain(|ticket| ticket.cid != cid);
        self.drop_empty(key);
        false
    }

    /// Nobody has the key: who has it now. Those that `waits` says no of have ended before their turn.
    pub(in crate::engine) fn advance(&mut self, key: &str, waits: impl Fn(&Ticket) -> bool) -> Next {
        let Some(lane) = self.by_key.get_mut(key) else { return Next::Nobody };
        while let Some(next) = lane.next.pop_front() {
            self.next -= 1;
            if waits(&next) {
                lane.first = Some(next);
                return Next::First(next);
            }
        }
        if lane.goes_on {
            return Next::Ask;
        }
        self.by_key.remove(key);
        Next::Nobody
    }

    /// Those come next, as it was written down; after them nobody is written down, if `is_all`.
    pub(in crate::engine) fn extend(&mut self, key: &str, next: &[Ticket], is_all: bool) {
        let Some(lane) = self.by_key.get_mut(key) else { return };
        self.next += next.len();
        for ticket in next {
            lane.unwritten.pop_front_if(|unwritten| unwritten == ticket);
            lane.next.push_back(*ticket);
        }
        if is_all {
            self.next += lane.unwritten.len();
            lane.next.append(&mut lane.unwritten);
            lane.goes_on = false;
        }
    }

    /// One that is beyond is written down. Answers whether it still is beyond: then it need not be held.
    pub(in crate::engine) fn written(&mut self, key: &str, ticket: Ticket) -> bool {
        let is_beyond = self
            .by_key
            .get_mut(key)
            .is_some_and(|lane| lane.unwritten.pop_front_if(|first| *first == ticket).is_some());
        if is_beyond {
            self.drop_empty(key);
        }
        is_beyond
    }

    /// The one that has the key is held no longer, and still has it.
    pub(in crate::engine) fn let_first_go(&mut self, key: &str, cid: Cid) {
        if let Some(lane) = self.by_key.get_mut(key)
            && lane.first.is_some_and(|first| first.cid == cid)
        {
            lane.first = None;
            self.drop_empty(key);
        }
    }

    /// Something is written down in this lane, and nobody is known to have the key. Answers whether that is so.
    pub(in crate::engine) fn find_headless(&mut self, key: &str) -> bool {
        let unknown = || Lane { goes_on: true, ..Lane::default() };
        self.by_key.entry(key.into()).or_insert_with(unknown).first.is_none()
    }

    /// Forgets a lane that nothing held stands in.
    pub(in crate::engine) fn drop_empty(&mut self, key: &str) {
        if self.by_key.get(key).is_some_and(Lane::is_empty) {
            self.by_key.remove(key);
        }
    }

    /// Everything in a lane that is held, void or not, from the first.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = Cid> {
        let lane = self.by_key.get(key).into_iter();
        let tickets = lane.flat_map(|lane| lane.first.iter().chain(&lane.next).chain(&lane.unwritten));
        tickets.map(|ticket| ticket.cid)
    }

    /// Who has the key, where it is held.
    pub(in crate::engine) fn first(&self, key: &str) -> Option<Cid> {
        Some(self.by_key.get(key)?.first?.cid)
    }

    /// How many more may be known by heart.
    pub(in crate::engine) fn room(&self, most: usize) -> usize {
        most.saturating_sub(self.next)
    }
}
