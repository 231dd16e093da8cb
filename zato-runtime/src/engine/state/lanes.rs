//! Lanes: a queue for each concurrency key, whose first entry has the key.
//!
//! A lane is held as long as anything is that stands in it. Where all is written down, that need be the first of it
//! alone, or nothing: what waits behind is read when its turn comes.

use std::collections::{HashMap, VecDeque};

use zato_core::Cid;

use super::place::Ticket;

/// The lanes of one service, one for each key.
#[derive(Debug, Default)]
pub(in crate::engine) struct Lanes {
    by_key: HashMap<Box<str>, Lane>,
    /// The number of tickets in all [`Lane::next`], void ones included.
    next: usize,
}

/// The queue of one key. Its tickets may be void: an invocation that ends before its turn leaves its ticket behind, and
/// [`Lane::clear_void`] removes such tickets many at once. So an end costs the same however long the lane is.
#[derive(Debug, Default)]
struct Lane {
    /// The ticket that has the key, until it has ended; `None` where only the file says which that is.
    first: Option<Ticket>,
    /// The tickets that follow it, in accept order.
    next: VecDeque<Ticket>,
    /// Whether more may follow those: in the file, or on their way to it.
    goes_on: bool,
    /// Those of them that are not known to be in the file.
    unwritten: VecDeque<Ticket>,
    /// The number of tickets that became void in `next` and `unwritten` since void ones were removed. Written by
    /// [`Lanes::leave`] alone; it may be too high, never too low.
    void: usize,
    /// Whether a shutdown has interrupted the first, so that nothing of the lane starts.
    is_held_back: bool,
}

/// Whether an invocation that has ended had its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum HadKey {
    /// The key is free now. `was_held_back` says whether its lane was held back because of this invocation.
    Yes {
        was_held_back: bool,
    },
    No,
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

    /// Removes all void tickets once they may be more than the others: each ticket is then looked at a constant number
    /// of times. Returns by how many `next` became shorter.
    fn clear_void(&mut self, waits: impl Fn(&Ticket) -> bool) -> usize {
        if 2 * self.void <= self.next.len() + self.unwritten.len() {
            return 0;
        }
        let before = self.next.len();
        self.next.retain(&waits);
        self.unwritten.retain(&waits);
        self.void = 0;
        before - self.next.len()
    }

    /// Removes the first unwritten ticket if it is this one, and void ones before it. Returns whether it was.
    fn pop_unwritten(&mut self, ticket: Ticket, waits: impl Fn(&Ticket) -> bool) -> bool {
        while self.unwritten.pop_front_if(|first| *first != ticket && !waits(first)).is_some() {}
        self.unwritten.pop_front_if(|first| *first == ticket).is_some()
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

    /// Takes note that an invocation has ended. `waits` says of a ticket whether its invocation still waits; it must not
    /// say so of the one that has ended.
    pub(in crate::engine) fn leave(
        &mut self,
        key: &str,
        cid: Cid,
        waits: impl Fn(&Ticket) -> bool,
    ) -> HadKey {
        let Some(lane) = self.by_key.get_mut(key) else { return HadKey::No };
        if lane.first.is_some_and(|first| first.cid == cid) {
            lane.first = None;
            return HadKey::Yes { was_held_back: std::mem::take(&mut lane.is_held_back) };
        }
        lane.void += 1;
        self.next -= lane.clear_void(waits);
        self.drop_empty(key);
        HadKey::No
    }

    /// Notes that a shutdown has interrupted the one that has the key: nothing of its lane starts until it has ended.
    pub(in crate::engine) fn hold_back(&mut self, key: &str) {
        if let Some(lane) = self.by_key.get_mut(key) {
            lane.is_held_back = true;
        }
    }

    /// Whether a lane is held back.
    pub(in crate::engine) fn is_held_back(&self, key: &str) -> bool {
        self.by_key.get(key).is_some_and(|lane| lane.is_held_back)
    }

    /// Gives a key that nobody has to the next ticket of its lane. `waits` says of a ticket whether it is not void.
    pub(in crate::engine) fn advance(&mut self, key: &str, waits: impl Fn(&Ticket) -> bool) -> Next {
        let Some(lane) = self.by_key.get_mut(key) else { return Next::Nobody };
        while let Some(next) = lane.next.pop_front() {
            self.next -= 1;
            if waits(&next) {
                lane.first = Some(next);
                return Next::First(next);
            }
            lane.void = lane.void.saturating_sub(1);
        }
        if lane.goes_on {
            return Next::Ask;
        }
        self.by_key.remove(key);
        Next::Nobody
    }

    /// Appends the tickets that follow in the file; with `is_all` nothing follows them there.
    pub(in crate::engine) fn extend(
        &mut self,
        key: &str,
        next: &[Ticket],
        is_all: bool,
        waits: impl Fn(&Ticket) -> bool,
    ) {
        let Some(lane) = self.by_key.get_mut(key) else { return };
        self.next += next.len();
        for ticket in next {
            lane.pop_unwritten(*ticket, &waits);
            lane.next.push_back(*ticket);
        }
        if is_all {
            self.next += lane.unwritten.len();
            lane.next.append(&mut lane.unwritten);
            lane.goes_on = false;
        }
    }

    /// Takes note that a ticket is in the file. Returns whether it is beyond those in memory: then its invocation need
    /// not be held.
    pub(in crate::engine) fn written(
        &mut self,
        key: &str,
        ticket: Ticket,
        waits: impl Fn(&Ticket) -> bool,
    ) -> bool {
        let is_beyond = self.by_key.get_mut(key).is_some_and(|lane| lane.pop_unwritten(ticket, waits));
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::HashSet;

    use super::*;
    use crate::engine::state::Table;

    /// The number of invocations in a lane of these tests.
    const LONG: u64 = 10_000;

    /// The lane of one key, what of it has ended, and how often it was asked whether a ticket is void.
    struct Lane {
        lanes: Lanes,
        ended: RefCell<HashSet<u64>>,
        asked: Cell<u64>,
    }

    fn ticket(number: u64) -> Ticket {
        let cid: Cid = format!("00000000-0000-7000-8000-{number:012x}").parse().expect("it is a CID");
        Ticket { number, cid, place: Table::default().place_of(cid) }
    }

    impl Lane {
        fn of(count: u64, most: usize) -> Self {
            let mut lanes = Lanes::default();
            for number in 0..count {
                lanes.enter("key", ticket(number), most, || false);
            }
            Self { lanes, ended: RefCell::default(), asked: Cell::new(0) }
        }

        /// One ends. Answers who has the key then, where that has changed.
        fn end(&mut self, number: u64) -> Option<Next> {
            self.ended.borrow_mut().insert(number);
            let waits = |ticket: &Ticket| {
                self.asked.set(self.asked.get() + 1);
                !self.ended.borrow().contains(&ticket.number)
            };
            match self.lanes.leave("key", ticket(number).cid, waits) {
                HadKey::Yes { .. } => Some(self.lanes.advance("key", waits)),
                HadKey::No => None,
            }
        }

        fn tickets(&self) -> usize {
            self.lanes.by_key.get("key").map_or(0, |lane| lane.next.len() + lane.unwritten.len())
        }
    }

    #[test]
    fn an_end_looks_at_as_much_however_long_the_lane_is() {
        let mut lane = Lane::of(LONG, usize::MAX);
        for number in 0..LONG {
            let next = if number + 1 < LONG { Next::First(ticket(number + 1)) } else { Next::Nobody };
            assert_eq!(lane.end(number), Some(next));
        }
        assert!(lane.asked.get() <= 2 * LONG, "it was asked {} times", lane.asked.get());
        assert_eq!((lane.lanes.next, lane.lanes.by_key.len()), (0, 0));
    }

    /// Those that are cancelled behind the one that has the key, in memory and on their way to the file.
    #[test]
    fn what_ends_before_its_turn_costs_as_much_and_leaves_nothing_behind() {
        for most in [usize::MAX, 0] {
            for backwards in [false, true] {
                let mut lane = Lane::of(LONG, most);
                for number in 1..LONG {
                    let number = if backwards { LONG - number } else { number };
                    assert_eq!(lane.end(number), None);
                    let live = usize::try_from(LONG).expect("it is small") - lane.ended.borrow().len();
                    assert!(lane.tickets() <= 2 * live, "{} tickets for {live}", lane.tickets());
                }
                assert!(lane.asked.get() <= 4 * LONG, "it was asked {} times", lane.asked.get());
                assert_eq!((lane.lanes.next, lane.tickets()), (0, 0));
            }
        }
    }

    #[test]
    fn what_is_written_behind_one_that_has_ended_is_found() {
        let mut lane = Lane::of(4, 0);
        lane.end(1);
        let waits = |ticket: &Ticket| ticket.number != 1;
        assert!(lane.lanes.written("key", ticket(2), waits));
        assert!(!lane.lanes.written("key", ticket(2), waits), "it is let go of once");
        assert!(lane.lanes.written("key", ticket(3), waits));
        assert_eq!(lane.tickets(), 0);
    }
}
