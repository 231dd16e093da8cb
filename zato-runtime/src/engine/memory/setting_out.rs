//! How what a worker has begun goes on by itself, and ends.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use zato_core::{Moment, Payload};

use super::in_hand::Came;
use super::outside::Outside;
use super::taken::{Over, ROWS};
use super::told::{Last, Untold};
use super::track::Track;
use crate::engine::express::{Follow, Follows, Place};

impl Track {
    /// How many go on by themselves.
    pub(super) fn outside(&self) -> usize {
        self.outside.count.load(Ordering::Relaxed)
    }

    /// So many may.
    pub(super) fn let_outside(&self, most: usize) {
        if self.outside.most.load(Ordering::Relaxed) != most {
            self.outside.most.store(most, Ordering::Relaxed);
        }
    }

    /// So many have ended, or been entered.
    pub(super) fn came_in(&self, count: usize) {
        self.outside.count.fetch_sub(count, Ordering::Relaxed);
    }

    /// Has the one which a worker has begun go on by itself, if it may; answers with a group of which none is on its way any
    /// more.
    pub(super) fn set_out(
        &self,
        worker: usize,
        whom: Arc<dyn Any + Send + Sync>,
    ) -> Option<(Place, Option<Last>)> {
        let mut taken = self.slots[worker].taken();
        if self.outside() >= self.outside.most.load(Ordering::Relaxed) {
            return None;
        }
        let begun = taken.take_current()?;
        self.outside.count.fetch_add(1, Ordering::Relaxed);
        let number = taken.outside.insert(Outside::Passes(begun, whom));
        Some((Place { worker, number }, self.tell(&mut taken)))
    }

    pub(super) fn end_outside(
        &self,
        Place { worker, number }: Place,
        response: Payload,
        at: Moment,
        follow: Follow<'_>,
    ) -> Result<Over, Payload> {
        let mut taken = self.slots[worker].taken();
        let Some(begun) = taken.outside.passing(number) else { return Err(response) };
        match follow(begun, response) {
            Follows::Barred(response) => return Err(response),
            Follows::Nothing(response) => {
                if !taken.complete_outside(number, &response, at) {
                    return Err(response);
                }
            }
            Follows::Callback(callback) => {
                let mut waiting = self.waiting();
                if !waiting.is_open
                    || self.is_paused(callback.service)
                    || !taken.complete_outside(number, &callback.invocation.payload, at)
                {
                    return Err(Arc::unwrap_or_clone(callback.invocation).payload);
                }
                waiting.push(callback.service, Came::Made(callback.invocation), &self.signs);
            }
        }
        let slot = match taken.outside.take(number) {
            Some(Outside::Passes(begun, _)) => begun.invocation.slot,
            _ => None,
        };
        self.came_in(1);
        let last = slot.and_then(|slot| self.leave(Untold::one(slot.group)));
        Ok(Over { next: None, has_many: taken.rows.len() >= ROWS, last })
    }
}
