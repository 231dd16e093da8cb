//! Changes one row. Each method is one change.

use std::collections::HashMap;
use std::time::SystemTime;

use rusqlite::{CachedStatement, Connection, params};
use zato_core::{Cid, Moment, ServiceName};

use super::codec;
use super::codec::{CancelNote, State};
use super::json;
use super::kept::EndedCounts;
use super::service_ids::Numbers;
use crate::record::{DIGEST_VERSION, Key, Progress};

/// The accept numbers of what was accepted as started and has not ended: by its number a row is found in half the time.
pub(in crate::engine::sqlite) type StartedNumbers = HashMap<Cid, u64, foldhash::fast::RandomState>;

/// Changes rows, some hundreds in a transaction. A statement that fails changes nothing.
pub(crate) struct RowWriter<'r> {
    pub(in crate::engine::sqlite) connection: &'r Connection,
    pub(in crate::engine::sqlite) numbers: &'r mut Numbers,
    /// Kept up by every method that changes it.
    pub(in crate::engine::sqlite) kept: &'r mut EndedCounts,
    pub(in crate::engine::sqlite) begun: &'r mut StartedNumbers,
    /// The statements of every round. To look for one and put it back takes a tenth of what it does.
    pub(in crate::engine::sqlite) inserts: Option<CachedStatement<'r>>,
    pub(in crate::engine::sqlite) ends: Option<CachedStatement<'r>>,
}

/// A statement that is looked for when it is needed first.
pub(in crate::engine::sqlite) fn once<'a, 'r>(
    statement: &'a mut Option<CachedStatement<'r>>,
    connection: &'r Connection,
    sql: &str,
) -> rusqlite::Result<&'a mut CachedStatement<'r>> {
    match statement {
        Some(statement) => Ok(statement),
        none => Ok(none.insert(connection.prepare_cached(sql)?)),
    }
}

impl RowWriter<'_> {
    /// A service's number in the file; it is given one when it is first asked for, and is known from then on.
    pub(crate) fn number(&mut self, service: &ServiceName) -> rusqlite::Result<i64> {
        self.numbers.of(self.connection, service)
    }

    /// An attempt begins of what waited. Answers whether it was held and had not ended.
    pub(crate) fn started(&mut self, cid: Cid, attempt: u32, at: Moment) -> rusqlite::Result<bool> {
        // After a loss it is recorded when the handler begins.
        let sql = "UPDATE invocation
            SET state = 1, attempts = ?2, started_at = ?3, begun = CASE WHEN losses > 0 THEN 1 END
            WHERE cid = ?1 AND state < 3";
        self.change(sql, params![codec::cid(cid), attempt, codec::time(at)])
    }

    /// A service that has a rate has started an invocation at this time, and none later.
    pub(crate) fn last_started(&mut self, service: &ServiceName, at: Moment) -> rusqlite::Result<()> {
        let number = self.number(service)?;
        let sql = "UPDATE service SET last_started = ?2 WHERE id = ?1";
        self.change(sql, params![number, codec::time(at)]).map(drop)
    }

    /// A shutdown begins: the death of the process is no loss for what runs now and was accepted after this number.
    pub(crate) fn draining(&mut self, after: u64) -> rusqlite::Result<()> {
        let sql = "UPDATE invocation SET draining = 1 WHERE state = 1 AND accept > ?1";
        self.change(sql, params![after])?;
        Ok(())
    }

    /// The attempt that ran is over, and it waits for another; without any attempts, one that was started has not been
    /// begun. What is to stop is to be ended at once. Answers whether it was held and had not ended.
    pub(crate) fn again(&mut self, cid: Cid, progress: &Progress) -> rusqlite::Result<bool> {
        let sql = "UPDATE invocation
            SET state = 0, attempts = ?2, behind = nullif(?2, 0), failed = ?3, next_at = ?4, tried = ?5, losses = ?6,
                line_at = coalesce(?4, line_at), in_lane = NULL, begun = NULL, draining = NULL,
                ends_at = CASE WHEN cancel > 0 THEN 0 WHEN ?2 = 0 THEN ends_at ELSE deadline END
            WHERE cid = ?1 AND state < 3";
        let next_at = progress.next_at.map(codec::time);
        let tried = json::tried(&progress.tried)?;
        self.begun.remove(&cid);
        self.change(
            sql,
            params![codec::cid(cid), progress.attempts, progress.failed, next_at, tried, progress.losses],
        )
    }

    /// It is to stop, and `with_tree` so is what it invokes; what was noted before is not taken back. Answers whether
    /// it was held and had not ended.
    pub(crate) fn cancel(&mut self, cid: Cid, with_tree: bool) -> rusqlite::Result<bool> {
        let note = if with_tree { CancelNote::WithTree } else { CancelNote::Alone };
        let sql = "UPDATE invocation SET cancel = max(cancel, ?2) WHERE cid = ?1 AND state < 3";
        self.change(sql, params![codec::cid(cid), note.number()])
    }

    /// What waited has its concurrency key now. Answers whether it was held and had not ended.
    pub(crate) fn has_key(&mut self, cid: Cid) -> rusqlite::Result<bool> {
        let sql = "UPDATE invocation SET in_lane = NULL WHERE cid = ?1 AND state < 3";
        self.change(sql, params![codec::cid(cid)])
    }

    /// A dead letter is run again, by the invocation `again`. Answers whether it was one that had not been.
    pub(crate) fn run_again(&mut self, first: Cid, again: Cid) -> rusqlite::Result<bool> {
        let sql = "UPDATE invocation SET again = ?2 WHERE cid = ?1 AND state = 4 AND again IS NULL";
        self.change(sql, params![codec::cid(first), codec::cid(again)])
    }

    /// Forgets a dead letter, and the idempotency key that leads to it. Answers whether it was one that has not been run
    /// again.
    pub(crate) fn discard(&mut self, cid: Cid) -> rusqlite::Result<bool> {
        let sql = "DELETE FROM idempotency WHERE cid = ?1 AND EXISTS
            (SELECT 1 FROM invocation WHERE cid = ?1 AND state = 4 AND again IS NULL)";
        if self.change(sql, params![codec::cid(cid)])? {
            self.kept.keys.held -= 1;
        }
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
        let sql = "DELETE FROM idempotency WHERE service = ?1 AND name = ?2";
        let is_new = !self.change(sql, params![number, &*key.name])?;
        let sql = "INSERT INTO idempotency (service, name, cid, digest, at, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (cid, digest) = (codec::cid(cid), codec::digest(key.digest));
        self.change(sql, params![number, &*key.name, cid, digest, codec::time(at), DIGEST_VERSION])?;
        self.kept.keys.noted(at, is_new);
        Ok(())
    }

    /// One more has ended.
    pub(in crate::engine::sqlite) fn has_ended(&mut self, state: State) {
        self.kept.has_ended(state == State::Dead);
    }

    /// Whether the statement has changed a row.
    pub(in crate::engine::sqlite) fn change(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> rusqlite::Result<bool> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)? > 0)
    }
}

/// Whether an invocation is held.
pub(crate) fn exists(connection: &Connection, cid: Cid) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM invocation WHERE cid = ?1)")?
        .query_row([codec::cid(cid)], |row| row.get(0))
}
