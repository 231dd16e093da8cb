//! What each worker has taken of what passes by, and what has come of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use zato_core::{Moment, Payload};

use super::in_hand::InHand;
use super::members::Members;
use super::outside::Outsiders;
use super::rows::{Completed, Rows};
use super::told::{Last, Untold};
use crate::engine::express::{Begun, Plain};
use crate::lock::lock;
use crate::record::Delivery;
use crate::summary::Summary;

/// How many rows a worker writes before it hands them over.
pub(super) const ROWS: usize = 32;

/// What one worker has taken. Each stands in cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Slot {
    taken: Mutex<Taken>,
    /// How many are in hand; written under the lock.
    pub(super) count: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Taken {
    pub(super) in_hand: InHand,
    /// The one that is run.
    pub(super) current: Option<Begun>,
    /// The same once it has been entered.
    pub(super) entered: Option<Delivery>,
    /// The one whose callback is run, and when it completed: its response is what the callback was called with. It is
    /// written down when the callback has run, or somebody looks.
    answered: Option<(Begun, Moment)>,
    /// What has come of those that were run.
    pub(super) rows: Rows,
    /// The same of members of groups that others are on their way of.
    pub(super) members: Members,
    /// What goes on by itself.
    pub(super) outside: Outsiders,
    /// The members of a group that have ended and nobody knows of elsewhere: as long as it runs another of them.
    pub(super) untold: Option<Untold>,
    /// Empty, for what is told of the next.
    pub(super) empty: Summary,
}

/// What is to be done once one has ended.
pub(super) struct Over {
    /// This is to be run.
    pub(super) next: Option<Plain>,
    /// The rows are to be handed over.
    pub(super) has_many: bool,
    /// This group is to be joined.
    pub(super) last: Option<Last>,
}

impl Slot {
    #[inline]
    pub(super) fn taken(&self) -> MutexGuard<'_, Taken> {
        lock(&self.taken)
    }

    #[inline]
    pub(super) fn count(&self, taken: &Taken) {
        self.count.store(taken.in_hand.len(), Ordering::Release);
    }
}

impl Taken {
    /// Writes down that the one which is run has completed; answers whether it could be.
    #[inline]
    pub(super) fn complete(&mut self, response: &Payload, ended_at: Moment) -> bool {
        self.write_down();
        let Some(begun) = &self.current else { return false };
        let completed = completed(begun, response, ended_at);
        let is_written = write(&mut self.rows, &mut self.members, &completed);
        if let Some(slot) = begun.invocation.slot.filter(|_| is_written) {
            let from_here = || Untold::from(slot, std::mem::take(&mut self.empty));
            self.untold.get_or_insert_with(from_here).push(slot, &completed.member());
        }
        is_written
    }

    /// The same where its callback, which has the response, is the next that is run: nobody need wait for what is written.
    #[inline]
    pub(super) fn answer(&mut self, response: &Payload, ended_at: Moment) -> bool {
        let Some(begun) = self.current.as_ref().filter(|begun| begun.invocation.slot.is_none()) else {
            // Its group is told at once.
            return self.complete(response, ended_at);
        };
        if !completed(begun, response, ended_at).fits() {
            return false;
        }
        self.answered = self.take_current().map(|begun| (begun, ended_at));
        true
    }

    /// Takes the one that is run.
    #[inline]
    pub(super) fn take_current(&mut self) -> Option<Begun> {
        self.write_down();
        self.current.take()
    }

    /// Writes down what has completed and is not written yet.
    #[inline]
    pub(super) fn write_down(&mut self) {
        if let (Some((begun, ended_at)), Some(callback)) = (self.answered.take(), &self.current) {
            let response = &callback.invocation.payload;
            write(&mut self.rows, &mut self.members, &completed(&begun, response, ended_at));
        }
    }

    /// Writes down that one has completed which went on by itself; answers whether it could be.
    pub(super) fn complete_outside(&mut self, number: u32, response: &Payload, ended_at: Moment) -> bool {
        self.write_down();
        let Some(begun) = self.outside.passing(number) else { return false };
        write(&mut self.rows, &mut self.members, &completed(begun, response, ended_at))
    }
}

#[inline]
fn completed<'a>(begun: &'a Begun, response: &'a Payload, ended_at: Moment) -> Completed<'a> {
    let Begun { invocation, started_at } = begun;
    Completed { invocation, response, attempts: 1, started_at: Some(*started_at), ended_at }
}

#[inline]
fn write(rows: &mut Rows, members: &mut Members, completed: &Completed<'_>) -> bool {
    match completed.invocation.slot {
        None => rows.push(completed, ROWS).is_some(),
        Some(slot) => members.push(slot.group, completed),
    }
}
