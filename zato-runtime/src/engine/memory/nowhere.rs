//! What the memory engine keeps of what is over: for a while, and nowhere but here.

use std::sync::Arc;

use smallvec::SmallVec;
use zato_core::{Cid, Payload, ServiceName};

use super::keys::Keys;
use super::remembered::Remembered;
use crate::config::Config;
use crate::engine::contract::Refused;
use crate::engine::state::Store;
use crate::record::{Ended, Key};

/// Which ended invocations are remembered, and the idempotency keys.
#[derive(Debug)]
pub(super) struct Nowhere {
    /// What has completed, or was called synchronously.
    remembered: Remembered,
    /// What has ended in anything but success.
    dead: Remembered,
    keys: Keys,
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
        }
    }
}

impl Store for Nowhere {
    const WRITES_DOWN: bool = false;

    fn ended(&mut self, ended: &Arc<Ended>) -> SmallVec<[Cid; 2]> {
        let kept = if ended.is_dead() { &mut self.dead } else { &mut self.remembered };
        let now = ended.ended_at.into();
        kept.push(ended.invocation.cid, bytes(ended), now);
        let mut oldest = SmallVec::new();
        for kept in [&mut self.remembered, &mut self.dead] {
            while let Some(cid) = kept.pop_surplus(now) {
                oldest.push(cid);
            }
        }
        oldest
    }

    fn discarded(&mut self, ended: &Ended) {
        self.dead.discard(ended.invocation.cid, bytes(ended));
    }

    fn key(&mut self, service: &ServiceName, key: &Key) -> Result<Option<Cid>, Refused> {
        self.keys.find(service, key)
    }

    fn note_key(&mut self, service: &ServiceName, key: Key, cid: Cid) {
        self.keys.note(service, key, cid);
    }
}

/// How many bytes a remembered invocation holds: its request, and its response or error.
fn bytes(ended: &Ended) -> usize {
    let result = ended.outcome.payload().map_or(0, Payload::len) + ended.outcome.error().map_or(0, str::len);
    ended.invocation.payload.len() + result
}
