//! What workers tell of members of groups on their way past the state: how many have ended, and what came of each.

use std::collections::BTreeMap;

use zato_core::{Cid, Slot};

use crate::cid::ByCid;
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
    written: Option<Written>,
}

/// What is told of members, put together as it comes.
#[derive(Debug, Default)]
struct Written {
    /// Of all before this slot.
    summary: Summary,
    next: u32,
    /// Of some behind, by the slot of the first, with the slot after the last.
    ahead: BTreeMap<u32, (u32, Summary)>,
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

impl Written {
    /// Takes what is told of so many from this slot on, of so many members in all; answers whether it could.
    fn take(&mut self, first: u32, count: u32, summary: &mut Summary, members: u32) -> bool {
        if first != self.next {
            self.ahead.insert(first, (first + count, std::mem::take(summary)));
            return true;
        }
        if self.summary.is_empty() {
            // The others are about as long.
            self.summary.reserve(summary.len() / count.max(1) as usize * members as usize);
        }
        self.next += count;
        let mut is_taken = self.summary.append(summary);
        while let Some(following) = self.ahead.first_entry().filter(|entry| *entry.key() == self.next) {
            let (next, mut summary) = following.remove();
            self.next = next;
            is_taken &= self.summary.append(&mut summary);
        }
        is_taken
    }
}

impl Groups {
    /// So many members of a group are on their way.
    pub(super) fn enter(&mut self, group: Cid, members: u32) {
        self.0.insert(group, OnTheirWay { members, left: members, written: Some(Written::default()) });
    }

    /// Some are on it no more; answers with the group if they were the last, and with room for what is told of others.
    pub(super) fn leave(&mut self, untold: Untold) -> (Option<Last>, Summary) {
        let Untold { group, first, count, mut summary } = untold;
        let Some(way) = self.0.get_mut(&group) else { return (None, Summary::default()) };
        way.left = way.left.saturating_sub(count);
        let members = way.members;
        way.written.take_if(|written| {
            !summary.as_mut().is_some_and(|summary| written.take(first, count, summary, members))
        });
        let last = if way.left == 0 { self.0.remove(&group) } else { None };
        let last = last.map(|way| {
            let written = way.written.filter(|written| written.next == way.members);
            Last { group, summary: written.map(|written| written.summary) }
        });
        (last, summary.filter(Summary::is_empty).unwrap_or_default())
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
    use crate::summary::Told;

    fn untold(group: Cid, slots: &[u32]) -> Untold {
        let slot = |index| Slot { group, index };
        let mut untold = Untold::from(slot(slots[0]), Summary::default());
        for index in slots {
            let (text, ended_at) = (index.to_string(), Moment::from(std::time::SystemTime::UNIX_EPOCH));
            let (service, told) = (ServiceName::linked("a"), Told::Response(Kind::Text, text.as_bytes()));
            let member = Member { cid: mint(), service, told, attempts: 1, started_at: None, ended_at };
            untold.push(slot(*index), &member);
        }
        untold
    }

    /// The responses of a group of six, as told in these parts.
    fn told(parts: impl Fn(Cid) -> Vec<Untold>) -> Option<Vec<String>> {
        let (group, mut groups) = (mint(), Groups::default());
        groups.enter(group, 6);
        let mut lasts: Vec<_> = parts(group).into_iter().map(|part| groups.leave(part).0).collect();
        let last = lasts.pop().flatten().expect("the last part is the last");
        assert!(lasts.iter().all(Option::is_none), "no other is");
        assert!(groups.leave(Untold::one(group)).0.is_none(), "it is joined once");
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
