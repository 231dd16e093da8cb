//! Idempotency keys: the first CID of each, for as long as the key lives.
//!
//! A key lives for a time, and in a number: the oldest go first. A key whose invocation has not ended stays in any case.
//! What a key leads to is found for as long as the key lives: a record that is to be forgotten before that is *pinned*,
//! and goes with its key.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use zato_core::{Cid, Moment, ServiceName};

use crate::base::cid::CidMap;
use crate::engine::contract::Refused;
use crate::engine::state::EndedRecord;
use crate::record::Key;

/// The most keys that are looked at in one step.
const STEP: usize = 64;

type Name = (ServiceName, Arc<str>);

/// The keys that live, and the records that are kept for them alone.
#[derive(Debug)]
pub(super) struct Keys {
    by_name: HashMap<Name, First>,
    /// The key that leads to each of these.
    by_cid: CidMap<Name>,
    /// Those that may go, in the order in which they came. Some have gone already.
    order: VecDeque<(Moment, Cid)>,
    pinned: HashMap<u64, EndedRecord, foldhash::fast::RandomState>,
    /// The number of the last that was pinned, and how many bytes all of them hold.
    last_pinned: u64,
    pinned_bytes: usize,
    most: usize,
    most_bytes: usize,
    longest: Duration,
}

/// The first call under a key.
#[derive(Debug, Clone, Copy)]
struct First {
    cid: Cid,
    digest: u128,
    since: Moment,
    has_ended: bool,
    /// Whether its key goes when it ends.
    is_overdue: bool,
}

impl Keys {
    /// None yet. So many live for so long at the most, and what is pinned for them holds so many bytes.
    pub(super) fn new(most: usize, most_bytes: usize, longest: Duration) -> Self {
        Self {
            by_name: HashMap::new(),
            by_cid: CidMap::default(),
            order: VecDeque::new(),
            pinned: HashMap::default(),
            last_pinned: 0,
            pinned_bytes: 0,
            most,
            most_bytes,
            longest,
        }
    }

    /// Whether nothing is known of any key.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty() && self.by_name.is_empty()
    }

    fn is_old(&self, since: Moment, now: Moment) -> bool {
        now.since(since) >= self.longest
    }

    /// The CID that the key stands for, if it is known.
    ///
    /// # Errors
    ///
    /// [`Refused::KeyConflict`] if it was another call.
    pub(super) fn find(&self, service: &ServiceName, key: &Key, now: Moment) -> Result<Option<Cid>, Refused> {
        match self.by_name.get(&(*service, Arc::from(&*key.name))) {
            Some(first) if first.has_ended && self.is_old(first.since, now) => Ok(None),
            Some(first) if first.digest == key.digest => Ok(Some(first.cid)),
            Some(first) => Err(Refused::KeyConflict { first: first.cid }),
            None => Ok(None),
        }
    }

    /// A key stands for this CID from now on. Answers what it stood for before.
    pub(super) fn note(&mut self, service: &ServiceName, key: Key, cid: Cid, now: Moment) -> Option<Cid> {
        let name: Name = (*service, Arc::from(key.name));
        let first = First { cid, digest: key.digest, since: now, has_ended: false, is_overdue: false };
        let before = self.by_name.insert(name.clone(), first).map(|before| before.cid);
        if let Some(before) = before {
            self.by_cid.remove(&before);
        }
        self.by_cid.insert(cid, name);
        self.order.push_back((now, cid));
        before
    }

    /// An invocation has ended. Answers whether its key has gone with it.
    pub(super) fn has_ended(&mut self, cid: Cid) -> bool {
        let Some(name) = self.by_cid.get(&cid) else { return false };
        let Some(first) = self.by_name.get_mut(name) else { return false };
        first.has_ended = true;
        first.is_overdue && self.forget(cid)
    }

    /// Whether a key leads to this.
    pub(super) fn lead_to(&self, cid: Cid) -> bool {
        self.by_cid.contains_key(&cid)
    }

    /// Forgets the key that leads to this; answers whether there was one.
    pub(super) fn forget(&mut self, cid: Cid) -> bool {
        self.by_cid.remove(&cid).is_some_and(|name| self.by_name.remove(&name).is_some())
    }

    /// Forgets the oldest key if there are too many, or it is too old, and it leads to nothing that has not ended.
    /// Answers what it led to.
    pub(super) fn forget_oldest(&mut self, now: Moment) -> Option<Cid> {
        for _ in 0..STEP {
            let (since, cid) = *self.order.front()?;
            let is_surplus = self.by_name.len() > self.most || self.pinned_bytes > self.most_bytes;
            let leads_there = self.by_cid.get(&cid).and_then(|name| self.by_name.get_mut(name));
            match leads_there {
                Some(_) if !is_surplus && now.since(since) < self.longest => return None,
                Some(first) if !first.has_ended => first.is_overdue = true,
                Some(_) => {
                    self.order.pop_front();
                    self.forget(cid);
                    return Some(cid);
                }
                None => {}
            }
            self.order.pop_front();
        }
        None
    }

    /// Keeps a record as long as its key lives; answers under what.
    pub(super) fn pin(&mut self, past: EndedRecord) -> u64 {
        self.last_pinned += 1;
        self.pinned_bytes += past.ended.bytes();
        self.pinned.insert(self.last_pinned, past);
        self.last_pinned
    }

    pub(super) fn pinned(&self, number: u64) -> Option<&EndedRecord> {
        self.pinned.get(&number)
    }

    pub(super) fn pinned_mut(&mut self, number: u64) -> Option<&mut EndedRecord> {
        self.pinned.get_mut(&number)
    }

    pub(super) fn all_pinned(&self) -> impl Iterator<Item = EndedRecord> {
        self.pinned.values().cloned()
    }

    pub(super) fn take_pinned(&mut self, number: u64) -> Option<EndedRecord> {
        let past = self.pinned.remove(&number)?;
        self.pinned_bytes -= past.ended.bytes();
        Some(past)
    }
}
