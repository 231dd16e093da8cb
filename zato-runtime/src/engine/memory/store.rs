//! The store of the memory engine: history, dead letters and idempotency keys.

use zato_core::{Cid, Moment, ServiceName};

use super::history::History;
use super::idempotency::Keys;
use crate::base::clock::Clock;
use crate::config::Config;
use crate::engine::contract::Refused;
use crate::engine::state::{EndedRecord, KeptId, Oldest, Place, Store};
use crate::record::{Ended, Key};

/// Which ended invocations are remembered, and the idempotency keys.
#[derive(Debug)]
pub(super) struct MemoryStore {
    /// What has completed, or was called synchronously.
    remembered: History,
    /// What has ended in anything but success.
    dead: History,
    keys: Keys,
    /// Those whose keys were given to others.
    unpinned: Vec<Cid>,
    clock: Clock,
    /// When the last has ended.
    now: Moment,
}

impl MemoryStore {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            remembered: History::new(
                config.keep_ended.unwrap_or(10_000),
                config.keep_ended_bytes,
                config.keep_ended_for,
            ),
            dead: History::new(config.keep_dead, config.keep_ended_bytes, config.keep_dead_for),
            keys: Keys::new(config.max_keys(false), config.keep_ended_bytes, config.keep_keys),
            unpinned: Vec::new(),
            clock: config.clock.clone(),
            now: config.clock.now(),
        }
    }
}

impl MemoryStore {
    fn of(&self, is_dead: bool) -> &History {
        if is_dead { &self.dead } else { &self.remembered }
    }

    /// The CID of one that is not pinned.
    fn kept_cid(&self, number: KeptId) -> Option<Cid> {
        // Most programs use no keys: then nothing is looked up.
        let is_none = number.is_pinned() || self.keys.is_empty();
        if is_none { None } else { self.of(number.is_dead()).cid(number.get()) }
    }

    fn of_mut(&mut self, is_dead: bool) -> &mut History {
        if is_dead { &mut self.dead } else { &mut self.remembered }
    }
}

impl Store for MemoryStore {
    const WRITES_DOWN: bool = false;

    #[inline]
    fn keep(&mut self, place: Place, ended: Ended, again: Option<Cid>, hidden_by: Option<Cid>) -> KeptId {
        self.now = self.now.max(ended.ended_at);
        let is_dead = ended.is_dead();
        KeptId::new(self.of_mut(is_dead).push(place, ended, again, hidden_by), is_dead)
    }

    #[inline]
    fn keep_unindexed(&mut self, ended: &Ended) -> bool {
        let keeps = self.remembered.push_unindexed(ended);
        if keeps {
            self.now = self.now.max(ended.ended_at);
        }
        keeps
    }

    fn next_unindexed(&self) -> Option<(Cid, Option<Cid>)> {
        self.remembered.next_unindexed()
    }

    fn index(&mut self, place: Place) -> Option<KeptId> {
        self.remembered.index(place).map(|number| KeptId::new(number, false))
    }

    #[inline]
    fn forget_unindexed(&mut self) -> bool {
        self.remembered.forget_unindexed(self.now)
    }

    fn most_kept(&self) -> usize {
        self.remembered.most()
    }

    #[inline]
    fn surplus(&mut self) -> Option<Oldest> {
        self.remembered.surplus(self.now, false).or_else(|| self.dead.surplus(self.now, true))
    }

    fn kept(&self, number: KeptId) -> Option<EndedRecord> {
        if number.is_pinned() {
            return self.keys.pinned(number.get()).cloned();
        }
        self.of(number.is_dead()).get(number.get())
    }

    fn kept_mut(&mut self, number: KeptId) -> Option<&mut EndedRecord> {
        if number.is_pinned() {
            return self.keys.pinned_mut(number.get());
        }
        self.of_mut(number.is_dead()).get_mut(number.get())
    }

    fn all_kept(&self) -> impl Iterator<Item = EndedRecord> {
        self.remembered.all().chain(self.dead.all()).chain(self.keys.all_pinned())
    }

    fn has_ended(&mut self, cid: Cid) {
        self.keys.has_ended(cid);
    }

    fn is_kept_for_its_key(&self, cid: Cid) -> bool {
        self.keys.lead_to(cid)
    }

    fn pin(&mut self, number: KeptId) -> Option<KeptId> {
        if !self.keys.lead_to(self.kept_cid(number)?) {
            return None;
        }
        let past = self.kept(number)?;
        drop(self.take_kept(number));
        Some(KeptId::pinned(self.keys.pin(past)))
    }

    fn next_unpinned(&mut self) -> Option<Cid> {
        if self.keys.is_empty() {
            return None;
        }
        self.unpinned.pop().or_else(|| self.keys.forget_oldest(self.clock.now()))
    }

    fn forget_key_of(&mut self, cid: Cid) {
        self.keys.forget(cid);
    }

    fn close_up(&mut self) -> impl Iterator<Item = (KeptId, Place)> {
        let dead = self.dead.is_holey().then(|| self.dead.close_up());
        dead.into_iter().flatten().map(|(number, place)| (KeptId::new(number, true), place))
    }

    #[inline]
    fn take_kept(&mut self, number: KeptId) -> Option<EndedRecord> {
        if number.is_pinned() {
            return self.keys.take_pinned(number.get());
        }
        self.of_mut(number.is_dead()).take(number.get())
    }

    fn key(&mut self, service: &ServiceName, key: &Key) -> Result<Option<Cid>, Refused> {
        self.keys.find(service, key, self.clock.now())
    }

    fn note_key(&mut self, service: &ServiceName, key: Key, cid: Cid) {
        self.unpinned.extend(self.keys.note(service, key, cid, self.clock.now()));
    }
}
