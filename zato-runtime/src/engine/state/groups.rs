//! Groups: members that are staged until their group is accepted, and groups that wait for their members.

use std::sync::Arc;

use zato_core::{Cid, Invocation, Slot};

use crate::base::cid::CidMap;
use crate::record::Ended;

#[derive(Debug, Default)]
pub(in crate::engine) struct Groups {
    staged: CidMap<Vec<Arc<Invocation>>>,
    staged_count: usize,
    staged_bytes: usize,
    open: CidMap<Open>,
}

/// A group that was accepted and has members that have not ended.
#[derive(Debug)]
struct Open {
    invocation: Arc<Invocation>,
    members: Vec<Cid>,
    rows: Rows,
    left: u32,
    /// Whether what a member passes its slot on to is to be cancelled.
    is_cancelled: bool,
}

/// How those members have ended that have, in the order of their slots.
pub(in crate::engine) type Rows = Vec<Option<Arc<Ended>>>;

/// A group whose members have all ended: itself, and how they ended in the order of their slots.
pub(in crate::engine) type Full = (Arc<Invocation>, Vec<Arc<Ended>>);

impl Groups {
    pub(in crate::engine) fn stage(&mut self, group: Cid, members: Vec<Arc<Invocation>>) {
        self.staged_count += members.len();
        self.staged_bytes += bytes(&members);
        self.staged.entry(group).or_default().extend(members);
    }

    /// What was staged for a group; it is staged no longer.
    pub(in crate::engine) fn unstage(&mut self, group: Cid) -> Vec<Arc<Invocation>> {
        let members = self.staged.remove(&group).unwrap_or_default();
        self.staged_count -= members.len();
        self.staged_bytes -= bytes(&members);
        members
    }

    /// How many were staged for this group.
    pub(in crate::engine) fn staged_for(&self, group: Cid) -> usize {
        self.staged.get(&group).map_or(0, Vec::len)
    }

    /// How many members are staged in all, and how many bytes of payload they hold.
    pub(in crate::engine) fn staged(&self) -> (usize, usize) {
        (self.staged_count, self.staged_bytes)
    }

    /// A group was accepted. One without members is full at once.
    pub(in crate::engine) fn open(&mut self, invocation: Arc<Invocation>, members: Vec<Cid>) -> Option<Full> {
        let Some(left) = u32::try_from(members.len()).ok().filter(|left| *left > 0) else {
            return Some((invocation, Vec::new()));
        };
        let rows = vec![None; members.len()];
        self.open.insert(invocation.cid, Open { invocation, members, rows, left, is_cancelled: false });
        None
    }

    /// The members of a group that is open.
    pub(in crate::engine) fn members(&self, group: Cid) -> Vec<Cid> {
        self.open.get(&group).map(|open| open.members.clone()).unwrap_or_default()
    }

    /// The group is to end: so is what its members are now, and what they pass their slots on to.
    pub(in crate::engine) fn cancel(&mut self, group: Cid) {
        if let Some(open) = self.open.get_mut(&group) {
            open.is_cancelled = true;
        }
    }

    /// A member has passed its slot on. Answers whether that is to be cancelled.
    pub(in crate::engine) fn pass(&mut self, slot: Slot, to: Cid) -> bool {
        let Some(open) = self.open.get_mut(&slot.group) else { return false };
        if let Some(member) = open.members.get_mut(slot.index as usize) {
            *member = to;
        }
        open.is_cancelled
    }

    /// A member ended. Answers with its group if that was the last one.
    pub(in crate::engine) fn fill(&mut self, slot: Slot, ended: &Arc<Ended>) -> Option<Full> {
        let open = self.open.get_mut(&slot.group)?;
        let row = open.rows.get_mut(slot.index as usize)?;
        if row.replace(ended.clone()).is_none() {
            open.left -= 1;
        }
        if open.left > 0 {
            return None;
        }
        let open = self.open.remove(&slot.group)?;
        Some((open.invocation, open.rows.into_iter().flatten().collect()))
    }

    /// How many members of a group have not ended; `None` if it is not open.
    pub(in crate::engine) fn left(&self, group: Cid) -> Option<u32> {
        self.open.get(&group).map(|open| open.left)
    }

    /// Gives up all groups.
    pub(in crate::engine) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn bytes(members: &[Arc<Invocation>]) -> usize {
    members.iter().map(|member| member.payload.len()).sum()
}
