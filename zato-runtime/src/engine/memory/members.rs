//! Members of groups on their way past the state: what has come of each, until the last of its group has ended.

use std::sync::Arc;

use zato_core::Cid;

use super::rows::{Completed, Rows};
use crate::cid::ByCid;
use crate::record::{Ended, Member};

/// So many stand together, so that none is moved where a group is large.
const TOGETHER: usize = 256;

/// What has come of the members that one worker has run, by their groups.
#[derive(Default)]
pub(super) struct Members(ByCid<Vec<Rows>>);

impl Members {
    /// Keeps one that has completed; answers whether it could, as it cannot where there is more to say than fits.
    pub(super) fn push(&mut self, group: Cid, completed: &Completed<'_>) -> bool {
        let all = self.0.entry(group).or_default();
        match all.last() {
            Some(rows) if rows.len() < TOGETHER => {}
            // More of its group will follow: they get their room at once. To grow into it takes 7 % of a member.
            Some(rows) => all.push(Rows::with_room(TOGETHER, rows.bytes())),
            None => all.push(Rows::default()),
        }
        all.last_mut().is_some_and(|rows| rows.push(completed, TOGETHER).is_some())
    }

    /// Takes those of one group.
    pub(super) fn take(&mut self, group: Cid) -> Vec<Rows> {
        let mut all = self.0.remove(&group).unwrap_or_default();
        all.iter_mut().for_each(Rows::straighten);
        all
    }

    /// Takes those of all groups.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Rows> {
        std::mem::take(&mut self.0).into_values().flatten()
    }
}

/// All members of a group in the order of their slots: those that have passed by, and those that have ended in the state.
pub(super) fn in_order<'a>(
    passed: &'a [Rows],
    ended: &'a [Option<Arc<Ended>>],
) -> impl Iterator<Item = Member<'a>> {
    let mut places = vec![(u32::MAX, 0_u32); ended.len()];
    for (part, rows) in (0..).zip(passed) {
        for (row, slot) in (0..).zip(rows.slots()) {
            if let Some(place) = slot.and_then(|slot| places.get_mut(slot.index as usize)) {
                *place = (part, row);
            }
        }
    }
    places.into_iter().zip(ended).filter_map(|((part, row), ended)| match ended {
        Some(ended) => Some(ended.member()),
        None => passed.get(part as usize)?.member(row as usize),
    })
}
