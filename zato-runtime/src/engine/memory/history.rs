//! The history of ended invocations, bounded by number, bytes and age.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use zato_core::{Cid, Moment, Outcome};

use super::compact_rows::{Brief, CompactRows, Completed, grow};
use crate::engine::state::{EndedRecord, KeptId, Oldest, Place};
use crate::record::Ended;

/// So many places of those that were discarded are left empty, beside as many as are filled.
const FEW: usize = 64;

/// What has ended, in that order; the oldest are forgotten first. Each has a number until others are closed up.
#[derive(Debug)]
pub(super) struct History {
    /// What must be known of each to forget it.
    heads: VecDeque<Head>,
    /// The first of those that took few words stands first here.
    rows: CompactRows,
    /// The number of the first row that is not indexed: it has no head and no place in the table.
    unindexed: u64,
    /// The others.
    whole: HashMap<u64, EndedRecord, foldhash::fast::RandomState>,
    /// What the last of these was put under.
    last_whole: u64,
    /// How many have gone from the front, in all: the number of the first.
    first: u64,
    /// How many are there.
    count: usize,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    longest: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    cid: Cid,
    place: Place,
    ended_at: Moment,
    bytes: usize,
    stands: Stored,
}

/// Where the rest of one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Row(u64),
    Whole(u64),
    /// It was discarded.
    Gone,
}

impl History {
    pub(super) fn new(most: usize, most_bytes: usize, longest: Duration) -> Self {
        Self {
            heads: VecDeque::new(),
            rows: CompactRows::default(),
            unindexed: 0,
            whole: HashMap::default(),
            last_whole: 0,
            first: 0,
            count: 0,
            bytes: 0,
            most,
            most_bytes,
            longest,
        }
    }

    /// How many are remembered at the most.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Answers its number.
    #[inline]
    pub(super) fn push(
        &mut self,
        place: Place,
        ended: Ended,
        again: Option<Cid>,
        hidden_by: Option<Cid>,
    ) -> u64 {
        let (cid, ended_at, bytes) = (ended.invocation.cid, ended.ended_at, ended.bytes());
        let row = match &ended {
            Ended { invocation, outcome: Outcome::Completed(response), before: None, .. }
                if again.or(hidden_by).is_none() =>
            {
                let (attempts, started_at, ended_at) = (ended.attempts, ended.started_at, ended.ended_at);
                self.rows.push(&Completed { invocation, response, attempts, started_at, ended_at }, self.most)
            }
            _ => None,
        };
        let stands = if let Some(row) = row {
            debug_assert_eq!(self.unindexed, row, "what ended before is indexed first");
            self.unindexed = row + 1;
            Stored::Row(row)
        } else {
            self.last_whole += 1;
            self.whole.insert(self.last_whole, EndedRecord { ended: Arc::new(ended), again, hidden_by });
            Stored::Whole(self.last_whole)
        };
        self.bytes += bytes;
        self.count += 1;
        self.push_head(Head { cid, place, ended_at, bytes, stands })
    }

    /// Keeps one as a row that is not indexed, if it fits into a row.
    #[inline]
    pub(super) fn push_unindexed(&mut self, ended: &Ended) -> bool {
        let Ended { invocation, outcome: Outcome::Completed(response), before: None, .. } = ended else {
            return false;
        };
        let (attempts, started_at, ended_at) = (ended.attempts, ended.started_at, ended.ended_at);
        let completed = Completed { invocation, response, attempts, started_at, ended_at };
        if self.rows.push(&completed, self.most).is_none() {
            return false;
        }
        self.bytes += invocation.payload.len() + response.len();
        self.count += 1;
        true
    }

    /// The first row that is not indexed, and what it is below.
    pub(super) fn next_unindexed(&self) -> Option<(Cid, Option<Cid>)> {
        self.rows.brief(self.unindexed).map(|row| (row.cid, row.above))
    }

    /// Indexes that row, which has this place in the table; returns its number.
    pub(super) fn index(&mut self, place: Place) -> Option<u64> {
        let row = self.unindexed;
        let Brief { cid, ended_at, bytes, .. } = self.rows.brief(row)?;
        self.unindexed += 1;
        Some(self.push_head(Head { cid, place, ended_at, bytes, stands: Stored::Row(row) }))
    }

    /// Forgets the oldest of all, if it is a row that is not indexed and there are too many, or it is too old. Returns
    /// whether it did.
    #[inline]
    pub(super) fn forget_unindexed(&mut self, now: Moment) -> bool {
        if !self.heads.is_empty() {
            return false;
        }
        let Some(Brief { ended_at, bytes, .. }) = self.rows.brief(self.unindexed) else { return false };
        if !self.is_surplus(ended_at, now) {
            return false;
        }
        self.rows.pop(self.unindexed, bytes);
        self.unindexed += 1;
        self.count -= 1;
        self.bytes -= bytes;
        true
    }

    fn push_head(&mut self, head: Head) -> u64 {
        grow(&mut self.heads, self.most);
        self.heads.push_back(head);
        self.first + self.heads.len() as u64 - 1
    }

    fn is_surplus(&self, ended_at: Moment, now: Moment) -> bool {
        self.count > self.most || self.bytes > self.most_bytes || now.since(ended_at) > self.longest
    }

    /// The oldest, as long as there are too many, or it is too old. What is here may be dead.
    #[inline]
    pub(super) fn surplus(&mut self, now: Moment, is_dead: bool) -> Option<Oldest> {
        while self.heads.front()?.stands == Stored::Gone {
            self.heads.pop_front();
            self.first += 1;
        }
        let Head { cid, place, ended_at, bytes, .. } = *self.heads.front()?;
        self.is_surplus(ended_at, now).then(|| Oldest {
            number: KeptId::new(self.first, is_dead),
            place,
            cid,
            bytes,
        })
    }

    fn head(&self, number: u64) -> Option<&Head> {
        self.heads.get(self.at(number)?)
    }

    fn at(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    /// The CID of one.
    pub(super) fn cid(&self, number: u64) -> Option<Cid> {
        self.head(number).map(|head| head.cid)
    }

    pub(super) fn get(&self, number: u64) -> Option<EndedRecord> {
        self.past(self.head(number)?)
    }

    fn past(&self, head: &Head) -> Option<EndedRecord> {
        match head.stands {
            Stored::Whole(key) => self.whole.get(&key).cloned(),
            Stored::Row(row) => {
                Some(EndedRecord { ended: Arc::new(self.rows.get(row)?), again: None, hidden_by: None })
            }
            Stored::Gone => None,
        }
    }

    /// One that was called again, if it may be.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut EndedRecord> {
        match self.head(number)?.stands {
            Stored::Whole(key) => self.whole.get_mut(&key),
            Stored::Row(_) | Stored::Gone => None,
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = EndedRecord> {
        self.heads.iter().filter_map(|head| self.past(head))
    }

    /// Forgets one, if it is there; it is freed by who has it then. Of those that took few words only the first is ever
    /// forgotten.
    #[inline]
    pub(super) fn take(&mut self, number: u64) -> Option<EndedRecord> {
        let at = self.at(number)?;
        let head = self.heads.get_mut(at)?;
        let (stands, bytes) = (std::mem::replace(&mut head.stands, Stored::Gone), head.bytes);
        let kept = match stands {
            Stored::Row(row) => {
                self.rows.pop(row, bytes);
                None
            }
            Stored::Whole(key) => Some(self.whole.remove(&key)?),
            Stored::Gone => return None,
        };
        self.count -= 1;
        self.bytes -= bytes;
        kept
    }

    /// Whether more places are empty than should be.
    pub(super) fn is_holey(&self) -> bool {
        self.heads.len() > FEW + 2 * self.count
    }

    /// Has those that are there stand one after the other, under new numbers; answers where they stand in the table.
    pub(super) fn close_up(&mut self) -> impl Iterator<Item = (u64, Place)> {
        self.heads.retain(|head| head.stands != Stored::Gone);
        (self.first..).zip(self.heads.iter().map(|head| head.place))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use zato_core::{Channel, Cid, Ending, Invocation, Outcome, Payload, ServiceName, Slot};

    use super::*;
    use crate::engine::state::Table;
    use crate::record::Ended;

    fn ended(number: u128, text: &str, ended_at: SystemTime) -> Ended {
        let (service, payload) = (ServiceName::linked("a"), Payload::text(text));
        let invocation = Arc::new(Invocation::root(cid(number), service, payload, Channel::InvokeAsync));
        let outcome = Outcome::Completed(Payload::empty());
        let (attempts, started_at, before) = (1, None, None);
        Ended { invocation, outcome, attempts, started_at, ended_at: ended_at.into(), before }
    }

    impl History {
        fn push_one(&mut self, ended: Ended) -> u64 {
            let place = Table::default().place_of(ended.invocation.cid);
            self.push(place, ended, None, None)
        }

        fn cids(&self) -> Vec<Cid> {
            self.all().map(|past| past.ended.invocation.cid).collect()
        }
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
        let mut remembered = History::new(3, 10, Duration::from_mins(1));
        for number in 1..=4 {
            remembered.push_one(ended(number, "x", seconds(0)));
        }
        let gone = |remembered: &mut History, now| {
            let oldest = remembered.surplus(seconds(now).into(), false)?;
            remembered.take(oldest.number.get());
            Some(oldest.cid)
        };
        assert_eq!(gone(&mut remembered, 0), Some(cid(1)), "three are remembered");
        assert_eq!(gone(&mut remembered, 0), None);
        remembered.push_one(ended(5, "nine byte", seconds(30)));
        assert_eq!([0, 0, 0].map(|now| gone(&mut remembered, now)), [Some(cid(2)), Some(cid(3)), None]);
        assert_eq!(gone(&mut remembered, 60), None);
        assert_eq!(gone(&mut remembered, 61), Some(cid(4)));
        assert_eq!((gone(&mut remembered, 90), gone(&mut remembered, 91)), (None, Some(cid(5))));
        assert_eq!((gone(&mut remembered, 91), remembered.bytes), (None, 0));
    }

    #[test]
    fn what_is_discarded_behind_one_that_stays_takes_no_room() {
        let dead = |number, text| {
            let outcome = Outcome::Failed(Ending::new("", true));
            Ended { outcome, ..ended(number, text, seconds(0)) }
        };
        let mut remembered = History::new(1_000, 1_000, Duration::MAX);
        let first = remembered.push_one(dead(1, "stays"));
        for number in 2..10_000 {
            let at = remembered.push_one(dead(number, "x"));
            assert!(remembered.take(at).is_some());
            assert!(remembered.take(at).is_none(), "it is gone");
            if remembered.is_holey() {
                let there: Vec<_> = remembered.close_up().map(|(number, _)| number).collect();
                assert_eq!((there, remembered.cids()), (vec![first], vec![cid(1)]));
            }
        }
        assert!(remembered.heads.len() < 100, "{} stand there", remembered.heads.len());
        let last = remembered.push_one(dead(10_000, "last"));
        assert_eq!(remembered.cids(), [cid(1), cid(10_000)]);
        let at = |number| remembered.get(number).map(|past| past.ended.invocation.cid);
        assert_eq!([first, last].map(at), [Some(cid(1)), Some(cid(10_000))]);
        assert_eq!(remembered.bytes, 9);
    }

    #[test]
    fn what_took_few_words_reads_as_what_is_kept_whole() {
        let of = |number, change: &dyn Fn(&mut Invocation), response: &str| {
            let one = ended(number, "a request", seconds(5));
            let mut invocation = (*one.invocation).clone();
            change(&mut invocation);
            let outcome = Outcome::Completed(Payload::text(response));
            let (started_at, attempts) = (Some(seconds(7).into()), 3);
            Ended { invocation: Arc::new(invocation), outcome, attempts, started_at, ..one }
        };
        let name = ServiceName::linked("b");
        let all = [
            of(1, &|_| {}, ""),
            of(2, &|one| (one.parent, one.root, one.depth) = (Some(cid(1)), cid(9), 4), "a response"),
            of(3, &|one| (one.caller, one.channel) = (Some(name), Channel::InvokeAsyncCallback), "b"),
            of(4, &|one| one.callbacks = [name].into_iter().collect(), "c"),
            of(5, &|one| one.on_failure = [name].into_iter().collect(), "d"),
            of(6, &|one| one.payload = Payload::text("x".repeat(500)), &"y".repeat(700)),
            of(7, &|one| one.deadline = Some(seconds(99).into()), "e"),
            of(8, &|one| one.slot = Some(Slot { group: cid(1), index: 2 }), "f"),
            // These are kept whole.
            of(9, &|one| one.callbacks = [name, name].into_iter().collect(), "g"),
            of(10, &|one| one.options = Some(Box::default()), "h"),
            of(11, &|one| one.payload = Payload::text("x".repeat(5_000)), "i"),
            of(12, &|one| one.labels = [("customer".into(), "42".into())].into_iter().collect(), "j"),
            of(13, &|_| {}, "the last"),
        ];
        let mut remembered = History::new(all.len(), usize::MAX, Duration::MAX);
        let numbers: Vec<_> = all.iter().map(|one| remembered.push_one(one.clone())).collect();
        let rows = remembered.heads.iter().filter(|head| matches!(head.stands, Stored::Row(_))).count();
        assert_eq!((rows, remembered.whole.len()), (9, 4));
        for (kept, number) in numbers.iter().enumerate() {
            let shown = |ended: &Ended| {
                let response = ended.outcome.payload().map(Payload::to_string);
                format!("{ended:?} {} {response:?}", ended.invocation.payload)
            };
            let read: Vec<_> = remembered.all().map(|past| shown(&past.ended)).collect();
            assert_eq!(read, all[kept..].iter().map(shown).collect::<Vec<_>>());
            remembered.take(*number);
        }
        assert_eq!((remembered.bytes, remembered.count, remembered.whole.len()), (0, 0, 0));
        assert!(remembered.get(numbers[12]).is_none());
    }
}
