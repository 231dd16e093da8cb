//! What has ended and is remembered: the last so many, with so many bytes, for so long.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use zato_core::Cid;

use crate::engine::state::Kept;

/// What has ended, in that order; the oldest are forgotten first.
#[derive(Debug)]
pub(super) struct Remembered {
    /// None where one was discarded.
    kept: VecDeque<Option<Kept>>,
    /// How many have gone from the front, in all: the number of the first.
    first: u64,
    /// The numbers of those that are there.
    numbers: HashMap<Cid, u64, foldhash::fast::RandomState>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    longest: Duration,
}

impl Remembered {
    pub(super) fn new(most: usize, most_bytes: usize, longest: Duration) -> Self {
        let (kept, numbers) = (VecDeque::new(), HashMap::default());
        Self { kept, first: 0, numbers, bytes: 0, most, most_bytes, longest }
    }

    #[inline]
    pub(super) fn push(&mut self, kept: Kept) {
        self.bytes += kept.bytes();
        self.numbers.insert(kept.invocation.cid, self.first + self.kept.len() as u64);
        self.kept.push_back(Some(kept));
    }

    /// The oldest, as long as there are too many, or it is too old.
    #[inline]
    pub(super) fn pop_surplus(&mut self, now: SystemTime) -> Option<Kept> {
        while self.kept.front()?.is_none() {
            self.pop();
        }
        let is_surplus = self.numbers.len() > self.most || self.bytes > self.most_bytes;
        let is_old = |kept: &Kept| now.duration_since(kept.ended_at).is_ok_and(|age| age > self.longest);
        if !is_surplus && !is_old(self.kept.front()?.as_ref()?) {
            return None;
        }
        let kept = self.pop()?;
        self.numbers.remove(&kept.invocation.cid);
        self.bytes -= kept.bytes();
        Some(kept)
    }

    #[inline]
    fn pop(&mut self) -> Option<Kept> {
        let first = self.kept.pop_front()?;
        self.first += 1;
        first
    }

    fn place(&self, cid: Cid) -> Option<usize> {
        let number = self.numbers.get(&cid)?;
        usize::try_from(number - self.first).ok()
    }

    pub(super) fn get(&self, cid: Cid) -> Option<&Kept> {
        self.kept.get(self.place(cid)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, cid: Cid) -> Option<&mut Kept> {
        let place = self.place(cid)?;
        self.kept.get_mut(place)?.as_mut()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter().flatten()
    }

    /// Forgets one, if it is there.
    pub(super) fn discard(&mut self, cid: Cid) -> Option<Kept> {
        let place = self.place(cid)?;
        let kept = self.kept.get_mut(place)?.take()?;
        self.numbers.remove(&cid);
        self.bytes -= kept.bytes();
        Some(kept)
    }
}
