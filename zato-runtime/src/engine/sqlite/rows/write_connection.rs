//! The one connection that writes, and what it knows of the file.

use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::Connection;

use super::kept::{Counted, EndedCounts};
use super::row_writer::{RowWriter, StartedNumbers};
use super::service_ids::Numbers;
use super::unrecorded::Callers;
use crate::engine::sqlite::file::connect;
use crate::engine::sqlite::file::connect::Checkpointed;

/// The one connection that writes. Its owner begins and ends transactions; what it does outside of one is a
/// transaction of its own.
///
/// A statement that fails changes nothing. After an error of the disk SQLite may have undone the whole transaction:
/// [`rollback`](Self::rollback) then has nothing left to do, and must be called all the same.
#[derive(Debug)]
pub(crate) struct WriteConnection {
    pub(in crate::engine::sqlite) connection: Connection,
    numbers: Numbers,
    /// What has ended and is kept. Kept up by every method that changes it.
    pub(in crate::engine::sqlite) kept: EndedCounts,
    /// As it was when the transaction began that is under way; none while none is.
    kept_before: Option<EndedCounts>,
    begun: StartedNumbers,
    /// What has made rows and has none itself before it ends.
    pub(in crate::engine::sqlite) callers: Arc<Callers>,
    /// The number of transactions that have been committed in the file; `None` until it is read from there.
    written: Option<u64>,
}

impl WriteConnection {
    /// Over a connection that [`open_made`](connect::open_made) has made. Nothing is swept before it is [`counted`](Self::counted)
    /// what is kept.
    pub(crate) fn new(connection: Connection) -> Self {
        let (numbers, begun) = (Numbers::default(), StartedNumbers::default());
        Self {
            connection,
            numbers,
            kept: EndedCounts::default(),
            kept_before: None,
            begun,
            callers: Arc::default(),
            written: None,
        }
    }

    /// So many had ended and were kept when the file was opened, and so many dead letters. Called between transactions.
    pub(crate) fn counted(&mut self, kept: Counted) {
        self.kept.counted(kept);
    }

    /// The connection, for look-ups that see what was written before them, in the transaction under way too.
    #[cfg(test)]
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Closes the connection. If it is the last on the file, what was committed is moved there from the log.
    ///
    /// # Errors
    ///
    /// Those of the disk; the connection is gone all the same.
    pub(crate) fn close(self) -> rusqlite::Result<()> {
        self.connection.close().map_err(|(_, error)| error)
    }

    /// Begins a transaction; the right to write is taken at once.
    ///
    /// # Errors
    ///
    /// Busy if another program, say `sqlite3`, writes for longer than the busy timeout.
    pub(crate) fn begin(&mut self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.kept_before = Some(self.kept);
        Ok(())
    }

    /// Commits: when it answers `Ok`, all is on the disk.
    ///
    /// # Errors
    ///
    /// Those of the disk. Whether the transaction was recorded is unknown then: [`rollback`](Self::rollback) must
    /// follow, and what a failed sync has left in the disk's cache may be gone.
    pub(crate) fn commit(&mut self) -> rusqlite::Result<()> {
        let written = match self.written.take() {
            Some(written) => written + 1,
            None => connect::written(&self.connection)? + 1,
        };
        self.connection
            .prepare_cached("UPDATE written SET transactions = ?1 WHERE rowid = 1")?
            .execute([written])?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.written = Some(written);
        self.numbers.keep();
        self.kept_before = None;
        Ok(())
    }

    /// Returns the number of transactions that have been committed in the file; `None` before the first commit, and after
    /// one that failed.
    pub(in crate::engine::sqlite) fn written(&self) -> Option<u64> {
        self.written
    }

    /// Undoes the transaction, if SQLite has not done so itself.
    ///
    /// # Errors
    ///
    /// Those of the disk; the connection is to be opened anew then.
    pub(crate) fn rollback(&mut self) -> rusqlite::Result<()> {
        self.numbers.undo();
        self.kept = self.kept_before.take().unwrap_or(self.kept);
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.prepare_cached("ROLLBACK")?.execute([])?;
        Ok(())
    }

    /// Moves what was committed from the log to the file; see [`schema::checkpoint`].
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub(crate) fn checkpoint(&self, truncate: bool) -> rusqlite::Result<Checkpointed> {
        connect::checkpoint(&self.connection, truncate)
    }

    /// Moves the log into the file and truncates it, if nobody reads it. Waits for nobody. Answers whether it is empty.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub(crate) fn empty_log(&self) -> rusqlite::Result<bool> {
        connect::without_waiting(&self.connection, |connection| {
            Ok(connect::checkpoint(connection, false)?.is_whole
                && connect::checkpoint(connection, true)?.is_whole)
        })
    }

    /// How long the log is, and how much of it is in the file already.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub(crate) fn log(&self) -> rusqlite::Result<Checkpointed> {
        connect::log(&self.connection)
    }

    /// To change rows in the transaction that is under way.
    pub(crate) fn changing(&mut self) -> RowWriter<'_> {
        let Self { connection, numbers, kept, begun, .. } = self;
        RowWriter { connection, numbers, kept, begun, inserts: None, ends: None }
    }

    /// Forgets idempotency keys that were given at `until` or before, or are more than `most`, the oldest first, except
    /// those whose invocations have not ended. Looks at `limit` of them at the most. Answers how many were forgotten.
    pub(crate) fn forget_keys(
        &mut self,
        now: SystemTime,
        until: SystemTime,
        most: usize,
        limit: usize,
    ) -> rusqlite::Result<usize> {
        if !self.kept.is_counted {
            return Ok(0);
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let forgotten = self.kept.keys.step(&self.connection, now, until, most, limit)?;
        // What they led to may go now.
        self.kept.ended.keys_gone_since += forgotten as u64;
        self.kept.dead.keys_gone_since += forgotten as u64;
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use zato_core::{Cid, ServiceName};

    use super::super::row_writer::exists;
    use super::*;
    use crate::engine::sqlite::read::queries;
    use crate::engine::sqlite::rows::codec::CancelNote;
    use crate::engine::sqlite::rows::columns::{LiveRow, Stored};
    use crate::engine::sqlite::rows::insert::As;
    use crate::engine::sqlite::rows::sweep_scan::Class;
    use crate::engine::sqlite::test_data::{Store, at, completed, counted, ended, failed, invocation, nth};
    use crate::record::Key;

    fn live(rows: &WriteConnection, cid: Cid) -> LiveRow {
        match queries::find(rows.connection(), cid).expect("it can be read").expect("it is held") {
            Stored::Live(row) => row,
            Stored::Ended(row) => panic!("it has ended: {row:?}"),
        }
    }

    #[test]
    fn what_is_undone_is_not_there() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        rows.begin().expect("it begins");
        rows.changing().accepted(1, &invocation(nth(1)), 0, As::Waiting, None).expect("it is accepted");
        rows.changing().inner(2, &ended(invocation(nth(2)), failed(), at(1))).expect("it is recorded");
        assert_eq!(rows.held(Class::Dead), 1);
        rows.rollback().expect("it is undone");
        rows.rollback().expect("there is nothing left to undo");
        assert_eq!(rows.held(Class::Dead), 0);
        rows.changing().inner(2, &ended(invocation(nth(2)), failed(), at(1))).expect("it is recorded");
        rows.rollback().expect("nothing is under way");
        assert_eq!(rows.held(Class::Dead), 1);
        assert!(!exists(rows.connection(), nth(1)).expect("it can be asked"));

        // The number that its service had is not used again by mistake.
        let other = ServiceName::linked("another.service");
        rows.changing().number(&other).expect("it is given one");
        rows.changing().accepted(1, &invocation(nth(1)), 0, As::Waiting, None).expect("it is accepted");
        assert_eq!(&*live(rows, nth(1)).invocation.service, "orders.price");
    }

    #[test]
    fn an_end_that_is_undone_is_made_again() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        let end = ended(invocation(nth(1)), completed(), at(2));
        rows.begin().expect("it begins");
        let first = As::Started(at(1).into());
        rows.changing().accepted(1, &invocation(nth(1)), 0, first, None).expect("it is accepted");
        rows.commit().expect("it is committed");
        rows.begin().expect("it begins");
        assert!(rows.changing().ended(&end).expect("it ends"));
        rows.rollback().expect("it is undone");
        assert_eq!(live(rows, nth(1)).number, 1);
        assert!(rows.changing().ended(&end).expect("it ends once more"));
        assert!(!rows.changing().ended(&end).expect("nothing is wrong with it"), "it ends once");
    }

    #[test]
    fn what_is_committed_is_there_when_the_file_is_opened_again() {
        let mut store = Store::new();
        let path = store.path();
        let rows = &mut store.rows;
        rows.begin().expect("it begins");
        rows.changing().accepted(1, &invocation(nth(1)), 0, As::Waiting, None).expect("it is accepted");
        rows.changing().accepted(2, &invocation(nth(2)), 0, As::Waiting, None).expect("it is accepted");
        assert!(rows.changing().ended(&ended(invocation(nth(2)), completed(), at(1))).expect("it ends"));
        rows.commit().expect("it is committed");
        rows.begin().expect("it begins");
        rows.changing().accepted(3, &invocation(nth(3)), 0, As::Waiting, None).expect("it is accepted");
        // Its process dies here.
        let again = counted(connect::open(&path).expect("it opens"));
        assert_eq!(again.held(Class::Ended), 1);
        assert_eq!(queries::last_number(again.connection()).expect("it can be asked"), 2);
    }

    #[test]
    fn a_cancel_is_not_taken_back() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        rows.changing()
            .accepted(1, &invocation(nth(1)), 0, As::Started(at(1).into()), None)
            .expect("it is accepted");
        assert_eq!(live(rows, nth(1)).cancel, CancelNote::No);
        for (with_tree, noted) in
            [(false, CancelNote::Alone), (true, CancelNote::WithTree), (false, CancelNote::WithTree)]
        {
            assert!(rows.changing().cancel(nth(1), with_tree).expect("it is noted"));
            assert_eq!(live(rows, nth(1)).cancel, noted);
        }
        assert!(!rows.changing().cancel(nth(2), true).expect("it is not held"));
    }

    #[test]
    fn a_dead_letter_is_run_again_or_discarded_once() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        for n in 1..=3 {
            rows.changing().accepted(n, &invocation(nth(n)), 0, As::Waiting, None).expect("it is accepted");
        }
        assert!(rows.changing().ended(&ended(invocation(nth(1)), failed(), at(1))).expect("it ends"));
        assert!(rows.changing().ended(&ended(invocation(nth(2)), completed(), at(1))).expect("it ends"));
        assert!(rows.changing().run_again(nth(1), nth(9)).expect("it is a dead letter"));
        assert!(!rows.changing().run_again(nth(1), nth(8)).expect("it has been run again"));
        let row = queries::ended(rows.connection(), nth(1)).expect("it can be read").expect("it has ended");
        assert_eq!(row.again, Some(nth(9)));
        assert!(!rows.changing().discard(nth(1)).expect("it has been run again"));
        for n in 2..=3 {
            assert!(!rows.changing().run_again(nth(n), nth(9)).expect("it is no dead letter"), "{n}");
            assert!(!rows.changing().discard(nth(n)).expect("it is no dead letter"), "{n}");
        }
        assert!(rows.changing().ended(&ended(invocation(nth(3)), failed(), at(1))).expect("it ends"));
        assert_eq!(rows.held(Class::Dead), 2);
        assert!(rows.changing().discard(nth(3)).expect("it is a dead letter"));
        assert_eq!((rows.held(Class::Dead), rows.held(Class::Ended)), (1, 1));
        assert!(!exists(rows.connection(), nth(3)).expect("it can be asked"));
    }

    #[test]
    fn a_pause_stands_until_it_is_taken_back() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        let (one, other) = (ServiceName::linked("a.service"), ServiceName::linked("another.service"));
        rows.changing().pause(&one, true).expect("it is paused");
        rows.changing().pause(&other, true).expect("it is paused");
        rows.changing().pause(&other, false).expect("it is resumed");
        assert_eq!(queries::paused(rows.connection()).expect("it can be asked"), [one]);
        let services = queries::services(rows.connection()).expect("it can be asked");
        let services: Vec<_> = services.iter().map(|service| (service.name, service.is_paused)).collect();
        assert_eq!(services, [(one, true), (other, false)]);
    }

    #[test]
    fn keys_live_until_they_are_forgotten() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        let (one, other) = (ServiceName::linked("a.service"), ServiceName::linked("another.service"));
        let key = |digest| Key { name: "k".into(), digest };
        rows.changing().note_key(&one, &key(u128::MAX), nth(1), at(10)).expect("it is noted");
        rows.changing().note_key(&other, &key(7), nth(2), at(20)).expect("it is noted");
        let find = |rows: &mut WriteConnection, service, after| {
            let first = queries::key(rows.connection(), service, "k", at(after)).expect("a look-up");
            first.map(|first| (first.cid, first.digest))
        };
        assert_eq!(find(rows, &one, 0), Some((nth(1), u128::MAX)));
        assert_eq!(find(rows, &other, 0), Some((nth(2), 7)));
        assert_eq!(find(rows, &one, 10), None, "it is too old");
        // What is too old and has not been forgotten yet gives way.
        rows.changing().note_key(&one, &key(3), nth(3), at(30)).expect("it is noted");
        assert_eq!(find(rows, &one, 10), Some((nth(3), 3)));
        assert_eq!(rows.forget_keys(at(40), at(30), usize::MAX, 1).expect("one goes"), 1);
        assert_eq!((find(rows, &other, 0), find(rows, &one, 0)), (None, Some((nth(3), 3))));
        assert_eq!(rows.forget_keys(at(40), at(29), usize::MAX, 10).expect("none goes"), 0);
    }
}
