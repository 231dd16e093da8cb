//! What the memory engine keeps of what is over: for a while, and nowhere but here.

use std::sync::Arc;

use zato_core::{Cid, Moment, ServiceName};

use super::keys::Keys;
use super::remembered::{Limits, Remembered};
use crate::config::Config;
use crate::engine::contract::Refused;
use crate::engine::state::{Kept, Over, Store, bytes};
use crate::record::{Ended, Key};

/// How many that have ended last are held as they were, at the most.
const LAST: usize = 64;

/// Which ended invocations are remembered, and the idempotency keys.
#[derive(Debug)]
pub(super) struct Nowhere {
    /// What has completed, or was called synchronously.
    remembered: Remembered,
    /// What has ended in anything but success.
    dead: Remembered,
    keys: Keys,
    /// When the last has ended.
    now: Moment,
}

impl Nowhere {
    pub(super) fn new(config: &Config) -> Self {
        let ended = Limits {
            last: LAST.min(config.window),
            most: config.keep_ended.unwrap_or(10_000),
            most_bytes: config.keep_ended_bytes,
            longest: config.keep_ended_for,
        };
        let dead = Limits { most: config.keep_dead, longest: config.keep_dead_for, ..ended };
        Self {
            remembered: Remembered::new(ended),
            dead: Remembered::new(dead),
            keys: Keys::new(config.keep_keys),
            now: config.clock.now().into(),
        }
    }
}

impl Store for Nowhere {
    const WRITES_DOWN: bool = false;

    fn ended(&mut self, ended: &Arc<Ended>) {
        let kept = if ended.is_dead() { &mut self.dead } else { &mut self.remembered };
        self.now = ended.ended_at.into();
        kept.push(ended.invocation.cid, bytes(&ended.invocation, &ended.outcome), self.now);
    }

    fn over(&mut self) -> Option<Over> {
        self.remembered.over(self.now).or_else(|| self.dead.over(self.now))
    }

    fn keep(&mut self, kept: Kept) {
        if kept.is_dead() { self.dead.keep(kept) } else { self.remembered.keep(kept) }
    }

    fn kept(&self, cid: Cid) -> Option<&Kept> {
        self.remembered.get(cid).or_else(|| self.dead.get(cid))
    }

    fn kept_mut(&mut self, cid: Cid) -> Option<&mut Kept> {
        self.remembered.get_mut(cid).or_else(|| self.dead.get_mut(cid))
    }

    fn all_kept(&self) -> impl Iterator<Item = &Kept> {
        self.remembered.all().chain(self.dead.all())
    }

    fn discard_kept(&mut self, cid: Cid) -> Option<Kept> {
        self.dead.discard_kept(cid)
    }

    fn discarded(&mut self, ended: &Ended) {
        self.dead.discard_held(ended.invocation.cid, bytes(&ended.invocation, &ended.outcome));
    }

    fn key(&mut self, service: &ServiceName, key: &Key) -> Result<Option<Cid>, Refused> {
        self.keys.find(service, key)
    }

    fn note_key(&mut self, service: &ServiceName, key: Key, cid: Cid) {
        self.keys.note(service, key, cid);
    }
}
