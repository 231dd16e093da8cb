//! What has ended and is remembered: the last so many, with so many bytes, for so long.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use zato_core::Cid;

use crate::engine::state::Kept;

/// So many places of those that were discarded are left empty, beside as many as are filled.
const FEW: usize = 64;

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
        if self.kept.len() > FEW + 2 * self.numbers.len() {
            self.close_up();
        }
        Some(kept)
    }

    /// Has those that are there stand one after the other.
    fn close_up(&mut self) {
        self.kept.retain(Option::is_some);
        for (number, kept) in (self.first..).zip(self.kept.iter().flatten()) {
            self.numbers.insert(kept.invocation.cid, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use smallvec::SmallVec;
    use zato_core::{Channel, Invocation, Outcome, Payload, ServiceName};

    use super::*;
    use crate::record::Ended;

    fn kept(number: u128, text: &str, ended_at: SystemTime) -> Kept {
        let (service, payload) = (ServiceName::linked("a"), Payload::text(text));
        let invocation = Arc::new(Invocation::root(cid(number), service, payload, Channel::InvokeAsync));
        let outcome = Outcome::Completed(Payload::empty());
        let (attempts, started_at, before) = (1, None, None);
        let ended = Ended { invocation, outcome, attempts, started_at, ended_at, before };
        Kept::new(ended, None, None, SmallVec::new())
    }

    fn cid(number: u128) -> Cid {
        let text = format!("00000000-0000-7000-8000-{number:012x}");
        text.parse().expect("it is a CID")
    }

    fn seconds(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_oldest_go_by_number_by_bytes_and_by_age() {
        let mut remembered = Remembered::new(3, 10, Duration::from_mins(1));
        (1..=4).for_each(|number| remembered.push(kept(number, "x", seconds(0))));
        let gone = |remembered: &mut Remembered, now| {
            let popped = remembered.pop_surplus(seconds(now));
            popped.map(|kept| kept.invocation.cid)
        };
        assert_eq!(gone(&mut remembered, 0), Some(cid(1)), "three are remembered");
        assert_eq!(gone(&mut remembered, 0), None);
        remembered.push(kept(5, "nine byte", seconds(30)));
        assert_eq!([0, 0, 0].map(|now| gone(&mut remembered, now)), [Some(cid(2)), Some(cid(3)), None]);
        assert_eq!(gone(&mut remembered, 60), None);
        assert_eq!(gone(&mut remembered, 61), Some(cid(4)));
        assert_eq!((gone(&mut remembered, 90), gone(&mut remembered, 91)), (None, Some(cid(5))));
        assert_eq!((gone(&mut remembered, 91), remembered.bytes), (None, 0));
    }

    #[test]
    fn what_is_discarded_behind_one_that_stays_takes_no_room() {
        let mut remembered = Remembered::new(1_000, 1_000, Duration::MAX);
        remembered.push(kept(1, "stays", seconds(0)));
        for number in 2..10_000 {
            remembered.push(kept(number, "x", seconds(0)));
            assert!(remembered.discard(cid(number)).is_some());
            assert!(remembered.discard(cid(number)).is_none(), "it is gone");
        }
        assert!(remembered.kept.len() < 100, "{} stand there", remembered.kept.len());
        remembered.push(kept(10_000, "last", seconds(0)));
        let there: Vec<_> = remembered.all().map(|kept| kept.invocation.cid).collect();
        assert_eq!(there, [cid(1), cid(10_000)]);
        assert!(there.iter().all(|cid| remembered.get(*cid).is_some_and(|kept| kept.invocation.cid == *cid)));
        assert_eq!(remembered.bytes, 9);
    }
}
