//! What workers tell of members of groups on their way past the state: how many have ended, and what came of each.

use std::collections::BTreeMap;
use std::sync::Mutex;

use zato_core::{Cid, Slot};

use crate::cid::ByCid;
use crate::lock::lock;
use crate::summary::{Member, Summary};

/// Members of a group that one worker has run one after the other, and told nobody of.
#[derive(Debug)]
pub(super) struct Untold {
    pub(super) group: Cid,
    /// The slot of the first.
    first: u32,
    /// How many they are.
    count: u32,
    /// How each has ended; none where that is not known of all, or they do not stand one after the other.
    summary: Option<Summary>,
}

/// A group of which nothing is on its way any more.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) group: Cid,
    /// What is told of all its members, where that was written as they ended.
    pub(super) summary: Option<Summary>,
}

/// The groups of which some are on their way. Who says that the last of them are on it no more has the group joined.
#[derive(Debug, Default)]
pub(super) struct Groups(ByCid<OnTheirWay>);

/// Those of one group.
#[derive(Debug)]
struct OnTheirWay {
    members: u32,
    /// How many are on their way.
    left: u32,
    /// None where some are not told of.
    written: Option<Written>,
}

/// What is told of members, put together as it comes.
#[derive(Debug)]
struct Written {
    /// Of all before this slot; none while somebody writes there.
    so_far: Option<Summary>,
    next: u32,
    /// Of some behind, by the slot of the first, with the slot after the last.
    ahead: BTreeMap<u32, (u32, Summary)>,
}

/// What comes next, and what it is to be written to.
struct Part {
    written: Summary,
    next: Summary,
}

impl Untold {
    /// None so far, of which the first has this slot. What is told of them goes into an empty summary.
    pub(super) fn from(slot: Slot, empty: Summary) -> Self {
        Self { group: slot.group, first: slot.index, count: 0, summary: Some(empty) }
    }

    /// One that is on its way no more; what becomes of it is told elsewhere.
    pub(super) fn one(group: Cid) -> Self {
        Self { group, first: 0, count: 1, summary: None }
    }

    /// One more of the same.
    pub(super) fn and_one(self) -> Self {
        Self { count: self.count + 1, summary: None, ..self }
    }

    /// One more has ended like this.
    #[inline]
    pub(super) fn push(&mut self, slot: Slot, member: &Member<'_>) {
        let is_next = slot.index == self.first + self.count;
        let summary = self.summary.as_mut().filter(|_| is_next);
        if summary.is_none_or(|summary| summary.push(member).is_err()) {
            self.summary = None;
        }
        self.count += 1;
    }
}

impl OnTheirWay {
    /// So many from this slot on are on their way no more; answers with what is to be written now.
    fn leave(&mut self, first: u32, count: u32, summary: Option<Summary>) -> Option<Part> {
        self.left = self.left.saturating_sub(count);
        let (Some(written), Some(summary)) = (&mut self.written, summary) else {
            self.written = None;
            return None;
        };
        if let Some(so_far) = written.so_far.as_mut().filter(|so_far| so_far.is_empty()) {
            so_far.reserve(self.members as usize, summary.len() / count.max(1) as usize);
        }
        let after = first + count;
        if first == written.next && written.so_far.is_some() {
            return written.part(after, summary);
        }
        written.ahead.insert(first, (after, summary));
        None
    }

    /// This has been written, if it could be; answers with what is to be written now.
    fn wrote(&mut self, written: Option<Summary>) -> Option<Part> {
        let (Some(ours), Some(so_far)) = (&mut self.written, written) else {
            self.written = None;
            return None;
        };
        ours.so_far = Some(so_far);
        let following = ours.ahead.first_entry().filter(|entry| *entry.key() == ours.next)?;
        let (after, next) = following.remove();
        ours.part(after, next)
    }

    /// Whether none is on its way, and nobody writes.
    fn is_over(&self) -> bool {
        self.left == 0 && self.written.as_ref().is_none_or(|written| written.so_far.is_some())
    }
}

impl Written {
    /// This is to be written now, and all before `after` has been then.
    fn part(&mut self, after: u32, next: Summary) -> Option<Part> {
        let written = self.so_far.take()?;
        self.next = after;
        Some(Part { written, next })
    }
}

impl Groups {
    /// So many members of a group are on their way.
    pub(super) fn enter(&mut self, group: Cid, members: u32) {
        let written = Written { so_far: Some(Summary::default()), next: 0, ahead: BTreeMap::new() };
        self.0.insert(group, OnTheirWay { members, left: members, written: Some(written) });
    }

    /// Some are on it no more; answers with the group if they were the last, and with room for what is told of others.
    ///
    /// Nobody waits for who writes: that takes time where memory is touched for the first time. Whoever comes meanwhile
    /// leaves what is to be written there, and who writes is the last to go.
    pub(super) fn leave(groups: &Mutex<Self>, untold: Untold) -> (Option<Last>, Summary) {
        let Untold { group, first, count, summary } = untold;
        let mut empty = Summary::default();
        let mut all = lock(groups);
        let mut way = all.0.get_mut(&group);
        let mut part = way.as_mut().and_then(|way| way.leave(first, count, summary));
        while let Some(Part { mut written, mut next }) = part {
            drop(all);
            let is_written = written.append(&mut next);
            empty = next;
            all = lock(groups);
            way = all.0.get_mut(&group);
            part = way.as_mut().and_then(|way| way.wrote(is_written.then_some(written)));
        }
        let is_over = way.is_some_and(|way| way.is_over());
        let last = if is_over { all.0.remove(&group) } else { None };
        drop(all);
        empty.clear();
        let summary = |way: OnTheirWay| way.written.filter(|written| written.next == way.members)?.so_far;
        (last.map(|way| Last { group, summary: summary(way) }), empty)
    }

    /// None are any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use zato_core::{Kind, Moment, ServiceName};

    use super::*;
    use crate::cid::mint;
    use crate::summary;

    fn untold(group: Cid, slots: &[u32]) -> Untold {
        let slot = |index| Slot { group, index };
        let mut untold = Untold::from(slot(slots[0]), Summary::default());
        for index in slots {
            let (text, ended_at) = (index.to_string(), Moment::from(std::time::SystemTime::UNIX_EPOCH));
            let (service, told) =
                (ServiceName::linked("a"), summary::Told::Response(Kind::Text, text.as_bytes()));
            let member = Member { cid: mint(None), service, told, attempts: 1, started_at: None, ended_at };
            untold.push(slot(*index), &member);
        }
        untold
    }

    /// The responses of a group of six, as told in these parts.
    fn told(parts: impl Fn(Cid) -> Vec<Untold>) -> Option<Vec<String>> {
        let (group, groups) = (mint(None), Mutex::<Groups>::default());
        lock(&groups).enter(group, 6);
        let mut lasts: Vec<_> = parts(group).into_iter().map(|part| Groups::leave(&groups, part).0).collect();
        let last = lasts.pop().flatten().expect("the last part is the last");
        assert!(lasts.iter().all(Option::is_none), "no other is");
        assert!(Groups::leave(&groups, Untold::one(group)).0.is_none(), "it is joined once");
        let rows: Vec<serde_json::Value> = last.summary?.into_parts().0.decode().expect("it is JSON");
        Some(rows.iter().map(|row| row["response"].as_str().unwrap_or_default().to_owned()).collect())
    }

    #[test]
    fn parts_are_put_together_in_the_order_of_the_slots() {
        let all = Some(["0", "1", "2", "3", "4", "5"].map(str::to_owned).to_vec());
        let orders: [&[&[u32]]; 4] = [
            &[&[0, 1, 2], &[3, 4], &[5]],
            &[&[5], &[3, 4], &[0, 1, 2]],
            &[&[3], &[0, 1], &[4, 5], &[2]],
            &[&[0, 1, 2, 3, 4, 5]],
        ];
        for order in orders {
            let parts = |group| order.iter().map(|slots| untold(group, slots)).collect();
            assert_eq!(told(parts), all, "{order:?}");
        }
    }

    #[test]
    fn where_one_is_not_told_of_nothing_is_put_together() {
        assert_eq!(told(|group| vec![untold(group, &[0, 1, 2, 3, 4]), Untold::one(group)]), None);
        assert_eq!(told(|group| vec![untold(group, &[0, 1, 2, 3, 4]).and_one()]), None);
        assert_eq!(told(|group| vec![Untold::one(group), untold(group, &[1, 2, 3, 4, 5])]), None);
        assert_eq!(told(|group| vec![untold(group, &[0, 2, 1, 3, 4, 5])]), None, "out of order");
    }
}
