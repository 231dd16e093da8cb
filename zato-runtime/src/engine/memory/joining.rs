//! How groups are joined whose members pass by the state, and entered where somebody looks.

use std::sync::Arc;

use zato_core::Invocation;

use super::engine::Memory;
use super::members::in_order;
use super::nowhere::Nowhere;
use super::rows::Rows;
use super::told::Last;
use crate::engine::express::PlainMember;
use crate::engine::state::State;
use crate::record::{Batch, Ended};
use crate::summary::Summary;

impl State<Nowhere> {
    /// Enters what has come of members of groups that have not ended. What has ended before is entered.
    pub(super) fn enter_members(&mut self, passed: impl IntoIterator<Item = Rows>) {
        for rows in passed {
            for number in 0..rows.end() {
                let Some(ended) = rows.get(number) else { continue };
                let Some(slot) = ended.invocation.slot else { continue };
                let place = self.held.place_of(ended.invocation.cid);
                self.link(place, self.above(&ended.invocation), None);
                if let Some(full) = self.end_member(place, slot, ended) {
                    // Who has run the last member comes for it.
                    let (group, callbacks) = self.end_group(&full);
                    self.store.joined.push(group);
                    callbacks.into_iter().for_each(|callback| self.hold(callback, None));
                }
            }
        }
    }

    /// Ends a group of which nothing is on its way any more, and this has come of those that were; answers with its
    /// callbacks. None where some of its members are in the state and have not ended.
    fn join_passed(&mut self, last: Last, passed: Vec<Rows>) -> Option<(Arc<Ended>, Batch<Arc<Invocation>>)> {
        let Last { group, summary } = last;
        let count = passed.iter().map(Rows::len).sum();
        let Some((invocation, rows)) = self.groups.take_if_left(group, count) else {
            self.enter_ended();
            self.enter_members(passed);
            // Somebody may have entered all of it, and joined it.
            let at = self.store.joined.iter().position(|joined| joined.invocation.cid == group)?;
            return Some((self.store.joined.swap_remove(at), Batch::new()));
        };
        let told = summary.map_or_else(|| Summary::of(&mut in_order(&passed, &rows)), Ok);
        let (ended, callbacks) = self.join_told(&invocation, told);
        for mut rows in passed {
            self.store.take_passed(&mut rows);
        }
        self.forget_oldest_ended();
        self.enter_ended();
        let place = self.held.place_of(group);
        Some((self.end_shared(place, ended), callbacks))
    }
}

impl Memory {
    /// Takes a group with its members, if there is room for them on their way.
    pub(super) fn take_passing(
        &self,
        group: &Arc<Invocation>,
        members: Vec<PlainMember>,
    ) -> Result<(), Vec<PlainMember>> {
        let Some(track) = self.track.get().filter(|_| self.line.is_empty()) else { return Err(members) };
        let bytes = members.iter().map(|member| member.payload.len()).sum();
        let mut state = self.state();
        let has_room = track.is_open() && state.has_room(members.len(), bytes, 1).is_ok();
        if members.is_empty() || !has_room || !track.takes(&members) {
            return Err(members);
        }
        let cids = members.iter().map(|member| member.cid).collect();
        // It has members, so that it is not full.
        let _ = state.open(group.clone(), cids);
        track.push_members(group.cid, members);
        drop(state);
        self.wake_worker();
        Ok(())
    }

    /// Joins a group of which nothing is on its way any more, if its other members have ended; its callbacks go on as what
    /// waits does.
    pub(super) fn join_passed(&self, last: Last) -> Option<Arc<Ended>> {
        let track = self.track.get()?;
        self.settle_and_wake(self.state(), |state| {
            let passed = track.take_members(last.group);
            let (ended, callbacks) = state.join_passed(last, passed)?;
            let plain: Option<Vec<_>> = callbacks.iter().map(|callback| track.plain(callback)).collect();
            if plain.is_some_and(|plain| track.push_beside(&plain)) {
                self.wake_worker();
            } else {
                // Nothing that waits is overtaken.
                self.enter_passing(state);
                callbacks.into_iter().for_each(|callback| state.hold(callback, None));
            }
            Some(ended)
        })
    }
}
