//! The store behind the state: a list of changes, which the writer takes all at once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use zato_core::{Cid, Invocation, Moment, ServiceName};

use super::batch::{OnWritten, WriteBatch};
use super::read::queries;
use super::read::queries::First;
use super::read::queue_queries;
use super::read::reader::Reader;
use super::rows::change::Change;
use super::rows::columns::{Stands, Stored};
use super::rows::insert::{As, Limits};
use super::rows::unrecorded::{Callers, Unrecorded};
use crate::base::clock::Clock;
use crate::engine::contract::{Refused, StoreFault};
use crate::engine::state::{Accepted, Deferred, EndedRecord, Entry, Member, Pending, State, Store};
use crate::record::{Algorithm, AttemptId, DIGEST_VERSION, Ended, Key, Progress, is_recorded_at_end};

/// The store of a state that is kept on disk.
///
/// What has ended stays with the state until that has been written, so that what the state does not hold stands in the
/// file as it is, but for what was discarded.
pub(super) struct SqliteStore {
    /// What has been changed and is not on its way to the disk.
    changes: Vec<Change>,
    /// Where they say when a service that has a rate last started an invocation: once for each service.
    last_starts: HashMap<ServiceName, usize>,
    /// What is to be done once it is written.
    afters: Vec<OnWritten>,
    /// How many changes there have been in all.
    count: u64,
    /// How many of them are on disk.
    written: u64,
    /// How many attempts were over in what was taken last, and have been since.
    recent_ends: usize,
    ends: usize,
    /// What has ended, by the change that says so: once that is written, the file remembers it.
    ended: VecDeque<(u64, Cid)>,
    /// What was changed after it had ended, and the last such change. Discarded ones are not held, and no longer found.
    changed: HashMap<Cid, (u64, Fate)>,
    /// What is recorded when it ends, and is not recorded yet.
    unrecorded: Unrecorded,
    /// The idempotency keys that are not on disk.
    keys: HashMap<(ServiceName, Box<str>), (u64, Cid, u128)>,
    keep_keys: Duration,
    clock: Clock,
    /// What was accepted under numbers up to this one is left alone.
    not_ours: u64,
    /// Reads what is committed.
    reader: Reader,
    /// Whether the engine is closed: nothing is read or written any more.
    is_closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    RunAgain,
    Discarded,
}

impl SqliteStore {
    /// Over a store that is open, and is read by this.
    pub(super) fn new(
        reader: Reader,
        keep_keys: Duration,
        clock: Clock,
        not_ours: u64,
        callers: Arc<Callers>,
    ) -> Self {
        Self {
            changes: Vec::new(),
            last_starts: HashMap::new(),
            afters: Vec::new(),
            count: 0,
            written: 0,
            recent_ends: 0,
            ends: 0,
            ended: VecDeque::new(),
            changed: HashMap::new(),
            unrecorded: Unrecorded::new(callers),
            keys: HashMap::new(),
            keep_keys,
            clock,
            not_ours,
            reader,
            is_closed: false,
        }
    }

    /// Asks the file something.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreFault> {
        if self.is_closed {
            return Err(StoreFault::new(&"the engine is closed"));
        }
        self.reader.read(read)
    }

    /// Reads nothing from now on.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.reader.close();
    }

    /// Has the file opened anew by who reads next.
    pub(super) fn let_go(&self) {
        self.reader.let_go();
    }

    /// Whether nothing is read or written any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether all is on disk.
    pub(super) fn is_clean(&self) -> bool {
        self.written == self.count
    }

    /// How many attempts end while the disk is busy once.
    pub(super) fn recent_ends(&self) -> usize {
        self.recent_ends.max(self.ends)
    }

    /// Has something done once all that has been changed is on disk.
    pub(super) fn after(&mut self, after: OnWritten) {
        self.afters.push(after);
    }

    /// Adds what is to be written now to what is not committed yet.
    pub(super) fn take(&mut self, together: &mut WriteBatch) {
        if together.is_empty() {
            self.recent_ends = 0;
        }
        self.recent_ends += std::mem::take(&mut self.ends);
        together.changes.append(&mut self.changes);
        self.last_starts.clear();
        together.afters.append(&mut self.afters);
        together.count = self.count;
    }

    /// So many changes are on disk. Answers what the state need not hold any more.
    pub(super) fn has_written(&mut self, count: u64) -> Vec<Cid> {
        self.written = count;
        self.keys.retain(|_, (at, ..)| *at > count);
        let mut found_there = Vec::new();
        while let Some((_, cid)) = self.ended.pop_front_if(|(at, _)| *at <= count) {
            self.unrecorded.remove(&cid);
            if self.changed.get(&cid).is_none_or(|(at, _)| *at <= count) {
                found_there.push(cid);
            }
        }
        self.changed.retain(|_, (at, _)| *at > count);
        found_there
    }

    /// What has ended, as far as that is not on disk: nothing is said of such an end.
    pub(super) fn unwritten_ends(&self) -> HashSet<Cid> {
        // What was changed after its end was recorded stands there too, under the number of that change.
        let is_end =
            |at: u64, cid: &Cid| self.changed.get(cid).is_none_or(|(changed_at, _)| *changed_at != at);
        self.ended.iter().filter(|(at, cid)| is_end(*at, cid)).map(|(_, cid)| *cid).collect()
    }

    /// Whether the first call under a key is the one with this digest. Where the digests differ, that of the first call is
    /// made anew of what is held of it: a callback may have been renamed since, or the digest be of the version before.
    fn is_same_call(&self, first: &First, digest: u128) -> Result<bool, StoreFault> {
        if first.version == DIGEST_VERSION && first.digest == digest {
            return Ok(true);
        }
        let held = self.read(|reader| queries::find(reader, first.cid))?;
        Ok(match held {
            Some(row) => Algorithm::Named.content(row.invocation()) == digest,
            // A digest that cannot be compared: who gives a key again means the same call.
            None => first.version != DIGEST_VERSION,
        })
    }

    /// What is recorded when it ends, and is not recorded yet, each with its accept number.
    pub(super) fn unrecorded(&self) -> impl Iterator<Item = (Cid, u64)> {
        self.unrecorded.all()
    }

    fn push_key(&mut self, service: ServiceName, key: Key, cid: Cid, at: SystemTime) {
        let (name, digest) = (key.name.clone(), key.digest);
        self.push(Change::Key { service, key, cid, at });
        self.keys.insert((service, name), (self.count, cid, digest));
    }

    fn push(&mut self, change: Change) {
        self.count += 1;
        self.changes.push(change);
    }
}

impl Store for SqliteStore {
    const WRITES_DOWN: bool = true;

    fn accepted(&mut self, accepted: Accepted<'_>) {
        let Accepted { number, invocation, is_group, hidden_by, priority, max_losses, is_behind } = accepted;
        if is_recorded_at_end(invocation) {
            self.unrecorded.insert(invocation.cid, number);
            return;
        }
        self.unrecorded.note_calls(invocation.parent, hidden_by);
        let limits = Limits { priority, max_losses };
        let accepted = match (is_group, is_behind) {
            (true, _) => As::Open,
            (_, true) => As::Behind,
            _ => As::Waiting,
        };
        let invocation = invocation.clone();
        self.push(Change::Accepted { number, invocation, limits, accepted, hidden_by });
    }

    fn is_in_memory(&self, invocation: &Invocation) -> bool {
        is_recorded_at_end(invocation) && self.unrecorded.has(&invocation.cid)
    }

    fn in_memory(&self) -> impl Iterator<Item = Cid> {
        self.unrecorded.all().map(|(cid, _)| cid)
    }

    fn started(&mut self, id: AttemptId, at: Moment) {
        if self.unrecorded.has(&id.cid) {
            return;
        }
        // What is started in the step that accepts it is written once.
        if let Some(Change::Accepted { invocation, accepted, .. }) = self.changes.last_mut()
            && invocation.cid == id.cid
        {
            *accepted = As::Started(at);
            return;
        }
        self.push(Change::Started(id, at));
    }

    fn last_started(&mut self, service: &ServiceName, at: Moment) {
        let noted = self.last_starts.get(service).and_then(|place| self.changes.get_mut(*place));
        if let Some(Change::LastStarted(_, last)) = noted {
            *last = at;
            return;
        }
        self.last_starts.insert(*service, self.changes.len());
        self.push(Change::LastStarted(*service, at));
    }

    fn draining(&mut self) {
        self.push(Change::Draining { after: self.not_ours });
    }

    fn again(&mut self, cid: Cid, before: &Progress) {
        self.ends += 1;
        if self.unrecorded.has(&cid) {
            return;
        }
        self.push(Change::Again(cid, Box::new(before.clone())));
    }

    fn has_key(&mut self, cid: Cid) {
        if !self.unrecorded.has(&cid) {
            self.push(Change::HasKey(cid));
        }
    }

    fn cancelled(&mut self, cid: Cid, with_tree: bool) {
        if !self.unrecorded.has(&cid) {
            self.push(Change::Cancelled(cid, with_tree));
        }
    }

    fn ended(&mut self, ended: &Arc<Ended>) {
        self.ends += 1;
        let cid = ended.invocation.cid;
        let Some((number, key)) = self.unrecorded.has_ended(&cid) else {
            self.push(Change::Ended(ended.clone()));
            self.ended.push_back((self.count, cid));
            return;
        };
        self.push(Change::EndedInside(ended.clone(), number));
        if let Some((key, at)) = key {
            self.push_key(ended.invocation.service, key, cid, at);
        }
        self.ended.push_back((self.count, cid));
    }

    fn ended_inside(&mut self, ended: &Arc<Ended>, number: u64) {
        self.unrecorded.note_calls(ended.invocation.parent, None);
        self.push(Change::EndedInside(ended.clone(), number));
        self.ended.push_back((self.count, ended.invocation.cid));
    }

    fn past(&self, cid: Cid) -> Result<Option<EndedRecord>, StoreFault> {
        if matches!(self.changed.get(&cid), Some((_, Fate::Discarded))) {
            return Ok(None);
        }
        let past = self.read(|reader| queries::ended(reader, cid))?;
        Ok(past.map(|row| EndedRecord { ended: row.ended, again: row.again, hidden_by: row.hidden_by }))
    }

    fn left(&self, cid: Cid) -> Result<Option<Pending>, StoreFault> {
        let found = self.read(|reader| queries::find(reader, cid))?;
        Ok(match found {
            // What runs is held, but for what is left alone.
            Some(Stored::Live(row)) if row.stands != Stands::Open => Some(row.into()),
            _ => None,
        })
    }

    fn lane(
        &self,
        service: &ServiceName,
        key: &str,
        after: u64,
        most: usize,
    ) -> Result<Vec<(u64, Pending)>, StoreFault> {
        let after = after.max(self.not_ours);
        let lane = self.read(|reader| queue_queries::lane(reader, service, key, after, most))?;
        Ok(lane.into_iter().map(|row| (row.number, Pending::from(row))).collect())
    }

    fn lane_members(
        &self,
        service: &ServiceName,
        key: &str,
        after: u64,
        most: usize,
    ) -> Result<Vec<Member>, StoreFault> {
        let after = after.max(self.not_ours);
        self.read(|reader| queue_queries::lane_members(reader, service, key, after, most))
    }

    fn calls(&self, cid: Cid) -> Result<Option<Vec<(u128, Cid)>>, StoreFault> {
        self.read(|reader| queries::called(reader, cid)).map(Some)
    }

    fn run_again(&mut self, first: Cid, again: Cid) {
        self.push(Change::RunAgain { first, again });
        self.changed.insert(first, (self.count, Fate::RunAgain));
        self.ended.push_back((self.count, first));
    }

    fn discarded(&mut self, ended: &Ended) {
        let cid = ended.invocation.cid;
        self.push(Change::Discarded(cid));
        self.keys.retain(|_, (_, first, _)| *first != cid);
        self.changed.insert(cid, (self.count, Fate::Discarded));
    }

    fn paused(&mut self, service: &ServiceName, paused: bool) {
        self.push(Change::Paused(*service, paused));
    }

    fn key(&mut self, service: &ServiceName, key: &Key) -> Result<Option<Cid>, Refused> {
        let recent = self.keys.get(&(*service, key.name.clone()));
        let recent =
            recent.map(|(_, cid, digest)| First { cid: *cid, digest: *digest, version: DIGEST_VERSION });
        let after = self.clock.system_time().checked_sub(self.keep_keys).unwrap_or(SystemTime::UNIX_EPOCH);
        let first = match recent {
            Some(first) => Some(first),
            None => self.read(|reader| queries::key(reader, service, &key.name, after))?,
        };
        let is_discarded = |cid: &Cid| matches!(self.changed.get(cid), Some((_, Fate::Discarded)));
        let first = first.filter(|first| !is_discarded(&first.cid));
        match first {
            None => Ok(None),
            Some(first) if self.is_same_call(&first, key.digest)? => Ok(Some(first.cid)),
            Some(first) => Err(Refused::KeyConflict { first: first.cid }),
        }
    }

    fn note_key(&mut self, service: &ServiceName, key: Key, cid: Cid) {
        let at = self.clock.system_time();
        if let Some(key) = self.unrecorded.put_key(&cid, key, at) {
            self.push_key(*service, key, cid, at);
            return;
        }
        if let Some(key) = self.unrecorded.key(&cid) {
            self.keys.insert((*service, key.name.clone()), (u64::MAX, cid, key.digest));
        }
    }
}

impl State<SqliteStore> {
    /// Adds what is to be written now to what is not committed yet.
    pub(super) fn take(&mut self, together: &mut WriteBatch) {
        together.number = self.last_number;
        self.store.take(together);
    }

    /// This is on disk.
    pub(super) fn has_written(&mut self, together: &WriteBatch) -> Deferred {
        for cid in self.store.has_written(together.count) {
            if matches!(self.held.get(&cid), Some(Entry::Ended { .. })) {
                self.log_removed(cid);
                self.forget(cid);
            }
        }
        self.let_go(together.number);
        self.take_deferred()
    }
}
