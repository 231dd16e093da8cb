//! Reads a store from a process that does not own it. Each look-up is one short transaction.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rusqlite::{Connection, params};
use tokio::sync::oneshot;
use zato_core::bus::Step;
use zato_core::{Cid, Invocation, ServiceName};

use super::file::error::StoreError;
use super::file::location::locate_existing;
use super::file::{connect, lock, paths, wal};
use super::lookup_verbs::gaps;
use super::read::{queries, tree_queries};
use super::rows::codec;
use super::rows::codec::{CancelNote, ReadCid};
use super::rows::columns::{EndedRow, LiveRow, Stands, Stored};
use super::thread::{Thread, caught};
use crate::engine::contract::{LookUps, ReadOnlyStore, StoreFault};
use crate::record::Batch;
use crate::record::lookup::{Counts, Filter, InvocationInfo, Status, Tree, WaitReason};

/// A store that is only read.
pub(crate) struct OfflineStore {
    store: Arc<Inner>,
    /// Where it is read: what waits for the disk holds no thread of tokio up.
    reader: Thread,
}

struct Inner {
    path: Box<Path>,
    connection: Mutex<Connection>,
}

impl OfflineStore {
    /// Opens the store at `path`; takes no lock, and makes nothing.
    pub(crate) fn open(given: &Path) -> Result<Self, StoreError> {
        let path = locate_existing(given)?;
        let is_left = !lock::is_owned(&path);
        let damage = if is_left { wal::damage(&paths::log(&path), &path) } else { Ok(None) };
        // Whoever has begun to run on it meanwhile has looked at its log, and changes it.
        if let Some(damage) =
            damage.map_err(|error| StoreError::of_log(&path, error))?.filter(|_| !lock::is_owned(&path))
        {
            return Err(StoreError::DamagedLog { path, damage });
        }
        let connection = Mutex::new(connect::open_reader(&path)?);
        let reader = Thread::start("zato-sqlite-reader", &path)?;
        Ok(Self { store: Arc::new(Inner { path: path.into(), connection }), reader })
    }

    /// Reads what is committed at one moment.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Step<'_, Result<T, StoreFault>> {
        let inner = self.store.clone();
        let (answer, answered) = oneshot::channel();
        self.reader.run(move || {
            let read = caught(|| {
                let mut connection = inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
                let moment = connection.transaction()?;
                read(&moment)
            });
            let read = match read {
                Ok(read) => read.map_err(|error| StoreError::of(&inner.path, error)),
                Err(panic) => Err(StoreError::Panicked { path: inner.path.to_path_buf(), panic }),
            };
            // Who no longer listens needs no answer.
            let _ = answer.send(read.map_err(|error| StoreFault::new(&error)));
        });
        let path = self.store.path.clone();
        Step::later(async move {
            let closed = || StoreFault::new(&StoreError::Closed { path: path.to_path_buf() });
            answered.await.unwrap_or_else(|_| Err(closed()))
        })
    }

    /// What there is to know beside the rows.
    fn around(&self) -> impl FnOnce(&Connection) -> rusqlite::Result<Around> + use<> {
        let is_run = self.is_run();
        move |connection| Ok(Around { is_run, now: SystemTime::now(), paused: queries::paused(connection)? })
    }
}

impl LookUps for OfflineStore {
    fn find(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<Option<InvocationInfo>>, StoreFault>> {
        let around = self.around();
        self.read(move |connection| {
            let around = around(connection)?;
            let find =
                |cid| queries::find(connection, cid)?.map(|row| around.found(connection, row)).transpose();
            batch.into_iter().map(find).collect()
        })
    }

    fn tree(&self, root: Cid) -> Step<'_, Result<Tree, StoreFault>> {
        let around = self.around();
        self.read(move |connection| {
            let around = around(connection)?;
            let rows = tree_queries::tree(connection, root)?.into_iter();
            let found =
                rows.map(|row| around.found(connection, row)).collect::<rusqlite::Result<Vec<_>>>()?;
            let swept = gaps(&found, root);
            Ok(Tree { found, swept })
        })
    }

    fn list(&self, filter: &Filter) -> Step<'_, Result<Vec<InvocationInfo>, StoreFault>> {
        let (around, filter) = (self.around(), filter.clone());
        self.read(move |connection| {
            let around = around(connection)?;
            let rows = queries::list(connection, &filter)?.into_iter();
            rows.map(|row| around.found(connection, row)).collect()
        })
    }
}

impl ReadOnlyStore for OfflineStore {
    fn counts(&self) -> Step<'_, Result<Counts, StoreFault>> {
        self.read(|connection| {
            let sql = "SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1),
                              count(*) FILTER (WHERE state = 2) FROM invocation WHERE state < 3";
            let counts = |row: &rusqlite::Row<'_>| {
                Ok(Counts { waiting: row.get(0)?, running: row.get(1)?, open: row.get(2)? })
            };
            connection.query_row(sql, [], counts)
        })
    }

    fn ending_with(&self, digits: &str, most: usize) -> Step<'_, Result<Vec<Cid>, StoreFault>> {
        let digits = digits.to_ascii_uppercase();
        self.read(move |connection| {
            let sql =
                "SELECT cid FROM invocation WHERE substr(hex(cid), -length(?1)) = ?1 ORDER BY cid LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let cids = statement.query_map(params![digits, most], |row| Ok(row.get::<_, ReadCid>(0)?.0))?;
            cids.collect()
        })
    }

    fn is_run(&self) -> bool {
        lock::is_owned(&self.store.path)
    }
}

impl fmt::Debug for OfflineStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OfflineStore").field(&self.store.path).finish()
    }
}

/// What there is to know beside a row, to say where its invocation stands.
struct Around {
    is_run: bool,
    now: SystemTime,
    paused: Vec<ServiceName>,
}

impl Around {
    /// Where the invocation of a row stands, as far as the file tells.
    fn found(&self, connection: &Connection, row: Stored) -> rusqlite::Result<InvocationInfo> {
        let row = match row {
            Stored::Live(row) => row,
            Stored::Ended(EndedRow { ended, again, .. }) => return Ok(InvocationInfo::ended(ended, again)),
        };
        let status = match row.stands {
            Stands::Running(since) => {
                Status::Running { since: since.into(), is_cancelled: row.cancel != CancelNote::No }
            }
            Stands::Open => Status::Open(left(connection, row.invocation.cid)?),
            Stands::Waiting => Status::Waiting(self.waits(connection, &row)?),
        };
        Ok(InvocationInfo::new(row.invocation, row.attempts, row.progress, status))
    }

    /// What one waits for. What its process alone knows, as which places are taken, is not told: that is its turn.
    fn waits(&self, connection: &Connection, row: &LiveRow) -> rusqlite::Result<WaitReason> {
        let invocation = &*row.invocation;
        if self.is_run && row.cancel != CancelNote::No {
            return Ok(WaitReason::End);
        }
        if self.paused.contains(&invocation.service) {
            return Ok(WaitReason::Resume);
        }
        let interrupted = row.progress.as_ref().is_some_and(|progress| progress.next_at.is_none());
        if interrupted && !self.is_run {
            return Ok(WaitReason::Restart);
        }
        if let Some(held_by) = ahead(connection, invocation)? {
            let options = invocation.options.as_deref();
            let key = options.and_then(|options| options.concurrency_key.clone()).unwrap_or_default();
            return Ok(WaitReason::Key { key, held_by });
        }
        let next_at = row.progress.as_ref().and_then(|progress| progress.next_at);
        if let Some(at) = next_at.or(invocation.due.map(Into::into)).filter(|at| *at > self.now) {
            return Ok(WaitReason::Until(at));
        }
        Ok(WaitReason::Turn)
    }
}

/// How many members of a group have not ended.
fn left(connection: &Connection, group: Cid) -> rusqlite::Result<u32> {
    let sql = "SELECT count(*) FROM invocation WHERE slot_group = ?1 AND state < 3";
    connection.prepare_cached(sql)?.query_row([codec::cid(group)], |row| row.get(0))
}

/// Who has the concurrency key of an invocation, if it has one and another has it.
fn ahead(connection: &Connection, invocation: &Invocation) -> rusqlite::Result<Option<Cid>> {
    let Some(key) = invocation.options.as_deref().and_then(|options| options.concurrency_key.as_deref())
    else {
        return Ok(None);
    };
    let sql = "SELECT cid FROM invocation WHERE state < 3 AND lane = ?1 AND in_lane IS NULL AND cid <> ?2
        AND service = (SELECT coalesce(now_called, id) FROM service WHERE name = ?3) ORDER BY accept LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![key, codec::cid(invocation.cid), invocation.service.as_str()])?;
    rows.next()?.map(|row| Ok(row.get::<_, ReadCid>(0)?.0)).transpose()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zato_core::{Options, Slot};

    use super::*;
    use crate::engine::sqlite::file::lock::Lock;
    use crate::engine::sqlite::rows::insert::As;
    use crate::engine::sqlite::test_data::{Store, at, child, completed, ended, failed, invocation, nth};
    use crate::record::{Progress, Tried};

    fn reads(store: &Store) -> OfflineStore {
        OfflineStore::open(&store.path()).expect("it opens")
    }

    async fn find(store: &Store, n: u64) -> InvocationInfo {
        let found = reads(store).find([nth(n)].into_iter().collect()).await.expect("it can be read");
        found.into_iter().flatten().next().expect("it is held")
    }

    async fn waits(store: &Store, n: u64) -> WaitReason {
        match find(store, n).await.status {
            Status::Waiting(waits) => waits,
            other => panic!("{other:?}"),
        }
    }

    fn keyed(n: u64, key: &str) -> Invocation {
        let (mut keyed, mut options) = (invocation(nth(n)), Options::default());
        options.concurrency_key = Some(key.into());
        keyed.options = Some(Box::new(options));
        keyed
    }

    fn member(n: u64, index: u32) -> Invocation {
        let mut member = invocation(nth(n));
        member.slot = Some(Slot { group: nth(2), index });
        member
    }

    #[tokio::test]
    async fn what_waits_says_what_for() {
        let mut store = Store::new();
        let later = SystemTime::now() + Duration::from_mins(1);
        let rows = &mut store.rows;
        rows.changing().accepted(1, &invocation(nth(1)), 0, As::Waiting, None).expect("it is accepted");
        let mut due = invocation(nth(2));
        due.due = Some(later.into());
        rows.changing().accepted(2, &due, 0, As::Waiting, None).expect("it is accepted");
        rows.changing()
            .accepted(3, &keyed(3, "k"), 0, As::Started(at(1).into()), None)
            .expect("it is accepted");
        rows.changing().accepted(4, &keyed(4, "k"), 0, As::Behind, None).expect("it is accepted");
        rows.changing().accepted(5, &keyed(5, "other"), 0, As::Waiting, None).expect("it is accepted");
        assert_eq!(waits(&store, 1).await, WaitReason::Turn);
        let WaitReason::Until(until) = waits(&store, 2).await else { panic!("it is not due") };
        assert!(later.duration_since(until).is_ok_and(|apart| apart < Duration::from_millis(1)), "{until:?}");
        assert_eq!(waits(&store, 4).await, WaitReason::Key { key: "k".into(), held_by: nth(3) });
        assert_eq!(waits(&store, 5).await, WaitReason::Turn);
        store.rows.changing().pause(&invocation(nth(1)).service, true).expect("it is paused");
        assert_eq!(waits(&store, 4).await, WaitReason::Resume);
    }

    #[tokio::test]
    async fn what_was_interrupted_waits_for_a_process_until_there_is_one() {
        let mut store = Store::new();
        let tried = |next_at| {
            let error = "told to stop".into();
            let tried =
                Tried { number: 1, started_at: at(1), ended_at: at(2), error, code: None, counts: false };
            Progress::and(None, tried, next_at)
        };
        let later = SystemTime::now() + Duration::from_mins(1);
        for (n, next_at) in [(1, None), (2, Some(later)), (3, Some(at(3)))] {
            store
                .rows
                .changing()
                .accepted(n, &invocation(nth(n)), 0, As::Started(at(1).into()), None)
                .expect("it is accepted");
            assert!(store.rows.changing().again(nth(n), &tried(next_at)).expect("it waits again"));
        }
        assert_eq!(waits(&store, 1).await, WaitReason::Restart);
        let lock = Lock::take(&store.path()).expect("nobody has it");
        assert!(reads(&store).is_run());
        assert_eq!(waits(&store, 1).await, WaitReason::Turn);
        assert!(matches!(waits(&store, 2).await, WaitReason::Until(_)));
        assert_eq!(waits(&store, 3).await, WaitReason::Turn, "it is due");
        drop(lock);
        assert!(!reads(&store).is_run());
        let found = find(&store, 2).await;
        assert_eq!((found.attempts, found.before.map(|before| before.tried.len())), (1, Some(1)));
    }

    #[tokio::test]
    async fn what_runs_is_open_or_has_ended_stands_so() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        rows.changing()
            .accepted(1, &invocation(nth(1)), 0, As::Started(at(1).into()), None)
            .expect("it is accepted");
        assert!(rows.changing().cancel(nth(1), false).expect("it is noted"));
        rows.changing().accepted(2, &invocation(nth(2)), 0, As::Open, None).expect("it is accepted");
        for (n, index) in [(3, 0), (4, 1), (5, 2)] {
            rows.changing().accepted(n, &member(n, index), 0, As::Waiting, None).expect("it is accepted");
        }
        assert!(rows.changing().ended(&ended(member(3, 0), completed(), at(2))).expect("it ends"));
        rows.changing().inner(6, &ended(invocation(nth(6)), failed(), at(6))).expect("it is recorded");
        assert!(rows.changing().run_again(nth(6), nth(1)).expect("it is a dead letter"));
        let status = find(&store, 1).await.status;
        assert!(
            matches!(status, Status::Running { since, is_cancelled: true } if since == at(1)),
            "{status:?}"
        );
        assert!(matches!(find(&store, 2).await.status, Status::Open(2)));
        let again = find(&store, 6).await.status;
        assert!(matches!(again, Status::Ended { again: Some(by), .. } if by == nth(1)), "{again:?}");
        let counts = reads(&store).counts().await.expect("they can be counted");
        assert_eq!(counts, Counts { waiting: 2, running: 1, open: 1 });
    }

    #[tokio::test]
    async fn lists_and_trees_are_read() {
        let mut store = Store::new();
        let root = invocation(nth(1));
        let gone = child(&root, nth(2));
        store.rows.changing().accepted(1, &root, 0, As::Started(at(1).into()), None).expect("it is accepted");
        store
            .rows
            .changing()
            .accepted(3, &child(&root, nth(3)), 0, As::Waiting, None)
            .expect("it is accepted");
        store
            .rows
            .changing()
            .accepted(4, &child(&gone, nth(4)), 0, As::Waiting, Some(nth(1)))
            .expect("it is accepted");
        let reads = reads(&store);
        let listed = reads.list(&Filter::new().limit(2)).await.expect("it can be read");
        assert_eq!(listed.iter().map(InvocationInfo::cid).collect::<Vec<_>>(), [nth(4), nth(3)]);
        let tree = reads.tree(nth(1)).await.expect("it can be read");
        assert_eq!(tree.found.iter().map(InvocationInfo::cid).collect::<Vec<_>>(), [nth(1), nth(3), nth(4)]);
        assert_eq!(tree.swept, 1, "what is named and not held");
    }

    #[tokio::test]
    async fn invocations_are_found_by_the_end_of_their_cid() {
        let mut store = Store::new();
        for n in 1..=3 {
            store
                .rows
                .changing()
                .accepted(n, &invocation(nth(n)), 0, As::Waiting, None)
                .expect("it is accepted");
        }
        let reads = reads(&store);
        // The time is in the first 12 digits; the others are the same in all three.
        let digits = nth(2).to_string().replace('-', "");
        let ending_with = async |length: usize, most| {
            reads.ending_with(&digits[32 - length..], most).await.expect("it can be read")
        };
        assert_eq!(ending_with(7, 9).await, [nth(1), nth(2), nth(3)]);
        assert_eq!(ending_with(7, 2).await, [nth(1), nth(2)]);
        assert_eq!(ending_with(25, 9).await, [nth(2)]);
        assert!(reads.ending_with("ffffffffffff", 9).await.expect("it can be read").is_empty());
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_is_a_fault() {
        let mut store = Store::new();
        store.rows.changing().accepted(1, &invocation(nth(1)), 0, As::Waiting, None).expect("it is accepted");
        store.rows.connection().execute("UPDATE invocation SET channel = 77", []).expect("it is damaged");
        let fault = reads(&store).find([nth(1)].into_iter().collect()).await.expect_err("it is damaged");
        assert!(fault.to_string().contains("is damaged"), "{fault}");
    }

    #[test]
    fn who_has_a_key_is_found_by_an_index() {
        let store = Store::new();
        let sql =
            "EXPLAIN QUERY PLAN SELECT cid FROM invocation WHERE state < 3 AND lane = ?1 AND in_lane IS NULL
            AND cid <> ?2 AND service = (SELECT id FROM service WHERE name = ?3) ORDER BY accept LIMIT 1";
        let mut statement = store.rows.connection().prepare(sql).expect("SQL");
        let steps =
            statement.query_map(params!["k", "", "s"], |row| row.get::<_, String>(3)).expect("a plan");
        let steps = steps.collect::<Result<Vec<_>, _>>().expect("its steps").join("; ");
        assert!(steps.contains("invocation_lane") && !steps.contains("SCAN"), "{steps}");
    }
}
