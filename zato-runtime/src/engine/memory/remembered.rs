//! What has ended and is remembered: the last so many, with so many bytes, for so long.

use std::collections::VecDeque;
use std::time::Duration;

use zato_core::Moment;

use crate::engine::state::{Kept, Number, Oldest};

/// So many places of those that were discarded are left empty, beside as many as are filled.
const FEW: usize = 64;

/// What has ended, in that order; the oldest are forgotten first. Each has a number until others are closed up.
#[derive(Debug)]
pub(super) struct Remembered {
    /// None where one was discarded.
    kept: VecDeque<Option<Kept>>,
    /// How many have gone from the front, in all: the number of the first.
    first: u64,
    /// How many are there.
    count: usize,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    longest: Duration,
}

impl Remembered {
    pub(super) fn new(most: usize, most_bytes: usize, longest: Duration) -> Self {
        Self { kept: VecDeque::new(), first: 0, count: 0, bytes: 0, most, most_bytes, longest }
    }

    /// Answers its number.
    #[inline]
    pub(super) fn push(&mut self, kept: Kept) -> u64 {
        self.bytes += kept.bytes();
        self.count += 1;
        self.kept.push_back(Some(kept));
        self.first + self.kept.len() as u64 - 1
    }

    /// The oldest, as long as there are too many, or it is too old. What is here may be dead.
    #[inline]
    pub(super) fn surplus(&mut self, now: Moment, is_dead: bool) -> Option<Oldest> {
        while self.kept.front()?.is_none() {
            self.kept.pop_front();
            self.first += 1;
        }
        let oldest = self.kept.front()?.as_ref()?;
        let is_surplus = self.count > self.most || self.bytes > self.most_bytes;
        (is_surplus || now.since(oldest.ended_at) > self.longest).then(|| Oldest {
            number: Number::new(self.first, is_dead),
            place: oldest.place,
            cid: oldest.invocation.cid,
            bytes: oldest.bytes(),
        })
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Kept> {
        self.kept.get(self.place(number)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Kept> {
        let place = self.place(number)?;
        self.kept.get_mut(place)?.as_mut()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter().flatten()
    }

    /// Forgets one, if it is there.
    #[inline]
    pub(super) fn forget(&mut self, number: u64) {
        let place = self.place(number);
        if let Some(kept) = place.and_then(|place| self.kept.get_mut(place))
            && let Some(bytes) = kept.as_ref().map(Kept::bytes)
        {
            self.count -= 1;
            self.bytes -= bytes;
            // It is dropped where it stands.
            *kept = None;
        }
    }

    /// The same; it is freed by who has it then.
    pub(super) fn take(&mut self, number: u64) -> Option<Kept> {
        let place = self.place(number)?;
        let kept = self.kept.get_mut(place)?.take()?;
        self.count -= 1;
        self.bytes -= kept.bytes();
        Some(kept)
    }

    /// Whether more places are empty than should be.
    pub(super) fn is_holey(&self) -> bool {
        self.kept.len() > FEW + 2 * self.count
    }

    /// Has those that are there stand one after the other, under new numbers; answers with them.
    pub(super) fn close_up(&mut self) -> impl Iterator<Item = (u64, &Kept)> {
        self.kept.retain(Option::is_some);
        (self.first..).zip(self.kept.iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{SystemTime, UNIX_EPOCH};

    use zato_core::{Channel, Cid, Invocation, Outcome, Payload, ServiceName};

    use super::*;
    use crate::engine::state::Table;
    use crate::record::Ended;

    fn kept(number: u128, text: &str, ended_at: SystemTime) -> Kept {
        let (service, payload) = (ServiceName::linked("a"), Payload::text(text));
        let invocation = Arc::new(Invocation::root(cid(number), service, payload, Channel::InvokeAsync));
        let outcome = Outcome::Completed(Payload::empty());
        let (attempts, started_at, before) = (1, None, None);
        let ended_at = ended_at.into();
        let ended = Ended { invocation, outcome, attempts, started_at, ended_at, before };
        Kept::new(Table::default().place_of(cid(number)), ended, None, None)
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
        for number in 1..=4 {
            remembered.push(kept(number, "x", seconds(0)));
        }
        let gone = |remembered: &mut Remembered, now| {
            let oldest = remembered.surplus(seconds(now).into(), false)?;
            remembered.forget(oldest.number.get());
            Some(oldest.cid)
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
        let first = remembered.push(kept(1, "stays", seconds(0)));
        for number in 2..10_000 {
            let at = remembered.push(kept(number, "x", seconds(0)));
            assert!(remembered.take(at).is_some());
            assert!(remembered.take(at).is_none(), "it is gone");
            if remembered.is_holey() {
                let there: Vec<_> =
                    remembered.close_up().map(|(number, kept)| (number, kept.invocation.cid)).collect();
                assert_eq!(there, [(first, cid(1))]);
            }
        }
        assert!(remembered.kept.len() < 100, "{} stand there", remembered.kept.len());
        let last = remembered.push(kept(10_000, "last", seconds(0)));
        let there: Vec<_> = remembered.all().map(|kept| kept.invocation.cid).collect();
        assert_eq!(there, [cid(1), cid(10_000)]);
        let at = |number| remembered.get(number).map(|kept| kept.invocation.cid);
        assert_eq!([first, last].map(at), [Some(cid(1)), Some(cid(10_000))]);
        assert_eq!(remembered.bytes, 9);
    }
}
