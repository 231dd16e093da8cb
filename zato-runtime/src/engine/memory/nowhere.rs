//! What the memory engine keeps of what is over: for a while, and nowhere but here.

use std::time::SystemTime;

use zato_core::{Cid, ServiceName};

use super::keys::Keys;
use super::remembered::Remembered;
use crate::config::Config;
use crate::engine::contract::Refused;
use crate::engine::state::{Kept, Store};
use crate::record::Key;

/// Which ended invocations are remembered, and the idempotency keys.
#[derive(Debug)]
pub(super) struct Nowhere {
    /// What has completed, or was called synchronously.
    remembered: Remembered,
    /// What has ended in anything but success.
    dead: Remembered,
    keys: Keys,
    /// When the last has ended.
    now: SystemTime,
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
            now: config.clock.now(),
        }
    }
}

impl Store for Nowhere {
    const WRITES_DOWN: bool = false;

    #[inline]
    fn keep(&mut self, kept: Kept) {
        self.now = self.now.max(kept.ended_at);
        if kept.is_dead() { self.dead.push(kept) } else { self.remembered.push(kept) }
    }

    #[inline]
    fn pop_surplus(&mut self) -> Option<Kept> {
        self.remembered.pop_surplus(self.now).or_else(|| self.dead.pop_surplus(self.now))
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
        self.dead.discard(cid)
    }

    fn key(&mut self, service: &ServiceName, key: &Key) -> Result<Option<Cid>, Refused> {
        self.keys.find(service, key)
    }

    fn note_key(&mut self, service: &ServiceName, key: Key, cid: Cid) {
        self.keys.note(service, key, cid);
    }
}
