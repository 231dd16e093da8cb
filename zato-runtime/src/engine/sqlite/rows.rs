//! What the engine writes: each method changes one row.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};
use zato_core::{Cid, ServiceName};

use super::codec::{self, CancelNote, ReadCid, ReadDigest, State};
use super::insert::End;
use super::json;
use super::names::Numbers;
use super::schema::{self, Checkpointed};
use super::sweep::Kept;
use crate::record::{Ended, Key, Progress};

/// The one connection that writes. Its owner begins and ends transactions; what it does outside of one is a
/// transaction of its own.
///
/// A statement that fails changes nothing. After an error of the disk SQLite may have undone the whole transaction:
/// [`rollback`](Self::rollback) then has nothing left to do, and must be called all the same.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(super) connection: Connection,
    numbers: Numbers,
    /// What has ended and is kept. Counted when the file is opened, and kept up by every method that changes it.
    pub(super) kept: Kept,
    /// As it was when the transaction began that is under way.
    kept_before: Kept,
}

impl Rows {
    /// Over a connection that [`open`](schema::open) has made. Counts what has ended and is kept, which reads an index
    /// of all rows.
    ///
    /// # Errors
    ///
    /// Those of reading the file.
    pub(crate) fn new(connection: Connection) -> rusqlite::Result<Self> {
        let kept = Kept::count(&connection)?;
        Ok(Self { connection, numbers: Numbers::default(), kept, kept_before: kept })
    }

    /// The connection, for look-ups that see what was written before them, in the transaction under way too.
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
        self.kept_before = self.kept;
        Ok(())
    }

    /// Commits: when it answers `Ok`, all is on the disk.
    ///
    /// # Errors
    ///
    /// Those of the disk. Whether the transaction was recorded is unknown then: [`rollback`](Self::rollback) must
    /// follow, and what a failed sync has left in the disk's cache may be gone.
    pub(crate) fn commit(&mut self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.numbers.keep();
        Ok(())
    }

    /// Undoes the transaction, if SQLite has not done so itself.
    ///
    /// # Errors
    ///
    /// Those of the disk; the connection is to be opened anew then.
    pub(crate) fn rollback(&mut self) -> rusqlite::Result<()> {
        self.numbers.undo();
        self.kept = self.kept_before;
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
        schema::checkpoint(&self.connection, truncate)
    }

    /// A service's number in the file; it is given one when it is first asked for, and is known from then on.
    pub(crate) fn number(&mut self, service: &ServiceName) -> rusqlite::Result<i64> {
        self.numbers.of(&self.connection, service)
    }

    /// An attempt begins of what waited. Answers whether it was held and had not ended.
    pub(crate) fn started(&mut self, cid: Cid, attempt: u32, at: SystemTime) -> rusqlite::Result<bool> {
        let sql =
            "UPDATE invocation SET state = 1, attempts = ?2, started_at = ?3 WHERE cid = ?1 AND state < 3";
        self.change(sql, params![codec::cid(cid), attempt, codec::time(at)])
    }

    /// The attempt that ran is over, and it waits for another. Answers whether it was held and had not ended.
    pub(crate) fn again(&mut self, cid: Cid, progress: &Progress) -> rusqlite::Result<bool> {
        let sql = "UPDATE invocation
            SET state = 0, attempts = ?2, behind = ?2, failed = ?3, next_at = ?4, tried = ?5
            WHERE cid = ?1 AND state < 3";
        let next_at = progress.next_at.map(codec::time);
        let tried = json::tried(&progress.tried)?;
        self.change(sql, params![codec::cid(cid), progress.attempts, progress.failed, next_at, tried])
    }

    /// Its process died during it: so many times now. It waits, with its progress as it was. Answers whether it was
    /// held and had not ended.
    pub(crate) fn lost(&mut self, cid: Cid, losses: u32) -> rusqlite::Result<bool> {
        let sql = "UPDATE invocation SET state = 0, losses = ?2 WHERE cid = ?1 AND state < 3";
        self.change(sql, params![codec::cid(cid), losses])
    }

    /// What was held has ended. Answers whether it was held and had not ended before: an invocation ends once.
    pub(crate) fn ended(&mut self, ended: &Ended) -> rusqlite::Result<bool> {
        let state = if ended.is_dead() { State::Dead } else { State::Ended };
        let end = End::of(Some(&ended.outcome))?;
        let before = ended.before.as_deref();
        let sql = "UPDATE invocation
            SET state = ?2, attempts = ?3, started_at = ?4, ended_at = ?5, outcome = ?6, permanent = ?7, error = ?8,
                response_kind = ?9, response = ?10, behind = ?11, failed = ?12, next_at = ?13, tried = ?14
            WHERE cid = ?1 AND state < 3";
        let params = params![
            codec::cid(ended.invocation.cid),
            state.number(),
            ended.attempts,
            ended.started_at.map(codec::time),
            codec::time(ended.ended_at),
            end.outcome,
            end.permanent,
            end.error,
            end.response_kind,
            end.response,
            before.map(|before| before.attempts),
            before.map_or(0, |before| before.failed),
            before.and_then(|before| before.next_at).map(codec::time),
            before.map(|before| json::tried(&before.tried)).transpose()?.flatten(),
        ];
        let changed = self.change(sql, params)?;
        if changed {
            self.has_ended(state);
        }
        Ok(changed)
    }

    /// It is to stop, and `with_tree` so is what it invokes; what was noted before is not taken back. Answers whether
    /// it was held and had not ended.
    pub(crate) fn cancel(&mut self, cid: Cid, with_tree: bool) -> rusqlite::Result<bool> {
        let note = if with_tree { CancelNote::WithTree } else { CancelNote::Alone };
        let sql = "UPDATE invocation SET cancel = max(cancel, ?2) WHERE cid = ?1 AND state < 3";
        self.change(sql, params![codec::cid(cid), note.number()])
    }

    /// A dead letter is run again, by the invocation `again`. Answers whether it was one that had not been.
    pub(crate) fn run_again(&mut self, first: Cid, again: Cid) -> rusqlite::Result<bool> {
        let sql = "UPDATE invocation SET again = ?2 WHERE cid = ?1 AND state = 4 AND again IS NULL";
        self.change(sql, params![codec::cid(first), codec::cid(again)])
    }

    /// Forgets a dead letter. Answers whether it was one that has not been run again.
    pub(crate) fn discard(&mut self, cid: Cid) -> rusqlite::Result<bool> {
        let sql = "DELETE FROM invocation WHERE cid = ?1 AND state = 4 AND again IS NULL";
        let discarded = self.change(sql, params![codec::cid(cid)])?;
        if discarded {
            self.kept.dead.held -= 1;
        }
        Ok(discarded)
    }

    /// Nothing of a service starts until it is resumed, or it starts again.
    pub(crate) fn pause(&mut self, service: &ServiceName, paused: bool) -> rusqlite::Result<()> {
        let number = self.number(service)?;
        self.change("UPDATE service SET paused = ?2 WHERE id = ?1", params![number, paused])?;
        Ok(())
    }

    /// The call `cid` is the first under this key, from this time on.
    pub(crate) fn note_key(
        &mut self,
        service: &ServiceName,
        key: &Key,
        cid: Cid,
        at: SystemTime,
    ) -> rusqlite::Result<()> {
        let number = self.number(service)?;
        let sql = "INSERT OR REPLACE INTO idempotency (service, name, cid, digest, at)
            VALUES (?1, ?2, ?3, ?4, ?5)";
        let (cid, digest) = (codec::cid(cid), codec::digest(key.digest));
        self.change(sql, params![number, &*key.name, cid, digest, codec::time(at)])?;
        Ok(())
    }

    /// The first call under a key of this name that was noted after `after`, and the digest that it was noted with.
    pub(crate) fn find_key(
        &mut self,
        service: &ServiceName,
        name: &str,
        after: SystemTime,
    ) -> rusqlite::Result<Option<(Cid, u128)>> {
        let number = self.number(service)?;
        let sql = "SELECT cid, digest FROM idempotency WHERE service = ?1 AND name = ?2 AND at > ?3";
        self.connection
            .prepare_cached(sql)?
            .query_row(params![number, name, codec::time(after)], |row| {
                Ok((row.get::<_, ReadCid>(0)?.0, row.get::<_, ReadDigest>(1)?.0))
            })
            .optional()
    }

    /// Forgets up to `most` keys that were noted at `until` or before, the oldest first. Answers how many.
    pub(crate) fn forget_keys(&mut self, until: SystemTime, most: usize) -> rusqlite::Result<usize> {
        let sql = "DELETE FROM idempotency WHERE (service, name) IN
            (SELECT service, name FROM idempotency WHERE at <= ?1 ORDER BY at LIMIT ?2)";
        self.connection.prepare_cached(sql)?.execute(params![codec::time(until), most])
    }

    /// One more has ended.
    pub(super) fn has_ended(&mut self, state: State) {
        self.kept.has_ended(state == State::Dead);
    }

    /// Whether the statement has changed a row.
    pub(super) fn change(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<bool> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)? > 0)
    }
}
