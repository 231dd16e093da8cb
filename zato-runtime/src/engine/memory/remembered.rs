//! What has ended and is remembered: the last so many, with so many bytes, for so long.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use zato_core::{Cid, Moment};

use crate::engine::state::{Kept, Over};

/// What has ended, in that order; the oldest are forgotten first.
#[derive(Debug)]
pub(super) struct Remembered {
    /// The last, which the state holds.
    last: VecDeque<One>,
    /// Those of them that were discarded: they stand in the order and count no longer.
    discarded: HashSet<Cid>,
    /// Those before them; none where one was discarded.
    kept: VecDeque<Option<Kept>>,
    /// How many have been forgotten of these, in all: the number of the first.
    first: u64,
    /// The numbers of those that are there.
    numbers: HashMap<Cid, u64, foldhash::fast::RandomState>,
    bytes: usize,
    limits: Limits,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// So many of those that have ended last are held as they were: who asks for them asks soon.
    pub(super) last: usize,
    pub(super) most: usize,
    pub(super) most_bytes: usize,
    pub(super) longest: Duration,
}

#[derive(Debug)]
struct One {
    cid: Cid,
    ended_at: Moment,
}

impl Remembered {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            last: VecDeque::new(),
            discarded: HashSet::new(),
            kept: VecDeque::new(),
            first: 0,
            numbers: HashMap::default(),
            bytes: 0,
            limits,
        }
    }

    /// Notes one more, which the state holds.
    pub(super) fn push(&mut self, cid: Cid, bytes: usize, ended_at: Moment) {
        self.last.push_back(One { cid, ended_at });
        self.bytes += bytes;
    }

    /// Keeps one that the state holds no longer.
    pub(super) fn keep(&mut self, kept: Kept) {
        self.numbers.insert(kept.invocation.cid, self.first + self.kept.len() as u64);
        self.kept.push_back(Some(kept));
    }

    /// What the state does next: it gives up the oldest that it holds, or forgets the oldest of all.
    pub(super) fn over(&mut self, now: Moment) -> Option<Over> {
        let Limits { last, most, most_bytes, longest } = self.limits;
        if self.last.len() > last.min(most) {
            return self.give_up();
        }
        let count = self.last.len() - self.discarded.len() + self.numbers.len();
        let is_old = |ended_at: Moment| now.since(ended_at) > longest;
        let is_surplus = count > most || self.bytes > most_bytes;
        while let Some(first) = self.kept.front() {
            let Some(kept) = first else {
                self.pop();
                continue;
            };
            if !is_surplus && !is_old(kept.ended_at.into()) {
                return None;
            }
            let kept = self.pop()?;
            self.numbers.remove(&kept.invocation.cid);
            self.bytes -= kept.bytes();
            return Some(Over::Forget(kept));
        }
        let first = self.last.front()?;
        if is_surplus || is_old(first.ended_at) { self.give_up() } else { None }
    }

    fn give_up(&mut self) -> Option<Over> {
        loop {
            let One { cid, .. } = self.last.pop_front()?;
            if self.discarded.is_empty() || !self.discarded.remove(&cid) {
                return Some(Over::Keep(cid));
            }
        }
    }

    fn pop(&mut self) -> Option<Kept> {
        let first = self.kept.pop_front()?;
        self.first += 1;
        first
    }

    fn place(&self, cid: Cid) -> Option<usize> {
        let number = self.numbers.get(&cid)?;
        usize::try_from(number - self.first).ok()
    }

    /// One that is kept here.
    pub(super) fn get(&self, cid: Cid) -> Option<&Kept> {
        self.kept.get(self.place(cid)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, cid: Cid) -> Option<&mut Kept> {
        let place = self.place(cid)?;
        self.kept.get_mut(place)?.as_mut()
    }

    /// Everything that is kept here.
    pub(super) fn all(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter().flatten()
    }

    /// Somebody has discarded one that the state holds, with so many bytes.
    pub(super) fn discard_held(&mut self, cid: Cid, bytes: usize) {
        self.bytes -= bytes;
        self.discarded.insert(cid);
    }

    /// Somebody has discarded one that may be kept here: then it is no longer.
    pub(super) fn discard_kept(&mut self, cid: Cid) -> Option<Kept> {
        let place = self.place(cid)?;
        let kept = self.kept.get_mut(place)?.take()?;
        self.numbers.remove(&cid);
        self.bytes -= kept.bytes();
        Some(kept)
    }
}
