//! What the memory engine keeps of what is over: for a while, and nowhere but here.

use std::sync::Arc;

use zato_core::{Cid, Moment, ServiceName};

use super::keys::Keys;
use super::remembered::Remembered;
use super::rows::Rows;
use crate::config::Config;
use crate::engine::contract::Refused;
use crate::engine::state::{Number, Oldest, Past, Place, Store};
use crate::record::{Ended, Key};

/// Which ended invocations are remembered, and the idempotency keys.
#[derive(Debug)]
pub(super) struct Nowhere {
    /// What has completed, or was called synchronously.
    remembered: Remembered,
    /// What has ended in anything but success.
    dead: Remembered,
    keys: Keys,
    /// Groups that were joined while who has run their last members was on the way to it.
    pub(super) joined: Vec<Arc<Ended>>,
    /// When the last has ended.
    now: Moment,
}

impl Nowhere {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            remembered: Remembered::new(
                config.keep_ended.unwrap_or(10_000),
                config.keep_ended_bytes,
                config.keep_ended_for,
            ),
            dead: Remembered::new(config.keep_dead, config.keep_ended_bytes, config.keep_dead_for),
            keys: Keys::new(config.keep_keys),
            joined: Vec::new(),
            now: config.clock.moment(),
        }
    }
}

impl Nowhere {
    /// Takes what has passed by as it is, and gives room for more.
    pub(super) fn take_passed(&mut self, rows: &mut Rows) {
        if let Some(last) = rows.last_end() {
            self.now = self.now.max(last);
            self.remembered.take_passed(rows);
        }
    }

    /// The first that has passed by and is not entered, and what it stands below.
    pub(super) fn next_to_enter(&mut self) -> Option<(Cid, Option<Cid>)> {
        self.remembered.next_to_enter()
    }

    /// Enters that, where it stands from now on.
    pub(super) fn enter(&mut self, place: Place) -> Option<Number> {
        self.remembered.enter(place).map(|number| Number::new(number, false))
    }

    /// Forgets the oldest of what has passed by, if it is the oldest of all and surplus; answers whether it did.
    pub(super) fn forget_passed(&mut self) -> bool {
        self.remembered.forget_passed(self.now)
    }

    fn of(&self, is_dead: bool) -> &Remembered {
        if is_dead { &self.dead } else { &self.remembered }
    }

    fn of_mut(&mut self, is_dead: bool) -> &mut Remembered {
        if is_dead { &mut self.dead } else { &mut self.remembered }
    }
}

impl Store for Nowhere {
    const WRITES_DOWN: bool = false;

    #[inline]
    fn keep(&mut self, place: Place, ended: Ended, again: Option<Cid>, hidden_by: Option<Cid>) -> Number {
        self.now = self.now.max(ended.ended_at);
        let is_dead = ended.is_dead();
        Number::new(self.of_mut(is_dead).push(place, ended, again, hidden_by), is_dead)
    }

    fn most_kept(&self) -> usize {
        self.remembered.most()
    }

    #[inline]
    fn surplus(&mut self) -> Option<Oldest> {
        self.remembered.surplus(self.now, false).or_else(|| self.dead.surplus(self.now, true))
    }

    fn kept(&self, number: Number) -> Option<Past> {
        self.of(number.is_dead()).get(number.get())
    }

    fn kept_mut(&mut self, number: Number) -> Option<&mut Past> {
        self.of_mut(number.is_dead()).get_mut(number.get())
    }

    fn all_kept(&self) -> impl Iterator<Item = Past> {
        self.remembered.all().chain(self.dead.all())
    }

    fn close_up(&mut self) -> impl Iterator<Item = (Number, Place)> {
        let dead = self.dead.is_holey().then(|| self.dead.close_up());
        dead.into_iter().flatten().map(|(number, place)| (Number::new(number, true), place))
    }

    #[inline]
    fn take_kept(&mut self, number: Number) -> Option<Past> {
        self.of_mut(number.is_dead()).take(number.get())
    }

    fn key(&mut self, service: &ServiceName, key: &Key) -> Result<Option<Cid>, Refused> {
        self.keys.find(service, key)
    }

    fn note_key(&mut self, service: &ServiceName, key: Key, cid: Cid) {
        self.keys.note(service, key, cid);
    }
}
