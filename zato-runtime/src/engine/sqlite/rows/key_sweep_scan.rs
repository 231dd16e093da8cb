//! Scans for idempotency keys that are to be deleted.
//!
//! A pass goes through the keys by their age. A key whose invocation has not ended stays: it is behind the pass then, and
//! another pass begins when enough has ended since for its cost to be borne, or after an hour.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, params};

use super::codec;
use super::codec::ReadTime;

/// A pass that has passed by this many keys is made again when one invocation has ended since.
const PASSED_FOR_ONE: u64 = 16;

/// After this long a pass is made again, however many keys it has passed by.
const LONGEST: Duration = Duration::from_hours(1);

/// The idempotency keys of a file, and how far the pass that sweeps them has come.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine::sqlite) struct KeyPass {
    /// The number of keys.
    pub(in crate::engine::sqlite) held: i64,
    /// When the last key was given that it has seen, in nanoseconds since 1970.
    at: i64,
    /// How many keys it has seen and left, or that came behind it.
    passed: u64,
    /// How many invocations have ended since it began.
    pub(in crate::engine::sqlite) ended_since: u64,
    /// When the next key was given, or before; none where there is none.
    next: Option<SystemTime>,
    began: Option<SystemTime>,
}

impl KeyPass {
    /// So many keys were there when the file was opened, the oldest since `oldest`.
    pub(in crate::engine::sqlite) fn counted(&mut self, held: i64, oldest: Option<SystemTime>) {
        self.held += held;
        self.next = self.next.into_iter().chain(oldest).min();
    }

    /// Takes note of a key that is given at this time; `is_new` if none of its name was there.
    pub(in crate::engine::sqlite) fn noted(&mut self, at: SystemTime, is_new: bool) {
        self.held += i64::from(is_new);
        if codec::time(at) <= self.at {
            self.passed += 1;
        } else {
            self.next = self.next.into_iter().chain([at]).min();
        }
    }

    /// When a step may find a key that goes, where keys live for so long and in this number.
    pub(in crate::engine::sqlite) fn due(&self, keys_for: Duration, most: i64) -> Option<SystemTime> {
        let next = if self.held > most {
            self.next.map(|_| SystemTime::UNIX_EPOCH)
        } else {
            self.next.and_then(|at| at.checked_add(keys_for))
        };
        let has_left = self.passed > 0 && self.ended_since > 0;
        let again = self.began.filter(|_| has_left).and_then(|began| began.checked_add(LONGEST));
        next.into_iter().chain(again).min()
    }

    fn is_worth_another(&self, now: SystemTime) -> bool {
        let is_borne = self.ended_since > 0 && self.ended_since * PASSED_FOR_ONE >= self.passed;
        let age = self.began.and_then(|began| now.duration_since(began).ok());
        self.passed > 0 && (is_borne || age.is_some_and(|age| age >= LONGEST))
    }

    /// Looks at up to `limit` keys, and forgets those that were given at `until` or before, or are too many. Answers how
    /// many were forgotten.
    pub(in crate::engine::sqlite) fn step(
        &mut self,
        connection: &Connection,
        now: SystemTime,
        until: SystemTime,
        most: i64,
        limit: usize,
    ) -> rusqlite::Result<usize> {
        let surplus = self.held.saturating_sub(most).max(0);
        let is_due = |pass: &Self| surplus > 0 || pass.next.is_some_and(|next| next <= until);
        if self.is_worth_another(now) {
            let oldest = after(connection, i64::MIN)?;
            *self = Self { held: self.held, next: oldest, began: Some(now), ..Self::default() };
        }
        if !is_due(self) {
            return Ok(0);
        }
        if self.began.is_none() {
            (self.began, self.ended_since) = (Some(now), 0);
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut forgotten = self.forget(connection, codec::time(until), limit)?;
        let surplus = surplus - i64::try_from(forgotten).unwrap_or(i64::MAX);
        if surplus > 0 {
            forgotten += self.forget(connection, i64::MAX, limit.min(surplus))?;
        }
        self.next = after(connection, self.at)?;
        Ok(forgotten)
    }

    /// Goes on by `limit` keys that were given at `until` or before; keys of one nanosecond go together.
    fn forget(&mut self, connection: &Connection, until: i64, limit: i64) -> rusqlite::Result<usize> {
        let sql = "SELECT max(at) FROM
            (SELECT at FROM idempotency WHERE at > ?1 AND at <= ?2 ORDER BY at LIMIT ?3)";
        let last: Option<i64> =
            connection.prepare_cached(sql)?.query_row(params![self.at, until, limit], |row| row.get(0))?;
        let Some(last) = last else { return Ok(0) };
        let sql = "SELECT count(*) FROM idempotency WHERE at > ?1 AND at <= ?2";
        let looked: i64 = connection.prepare_cached(sql)?.query_row([self.at, last], |row| row.get(0))?;
        let sql = "DELETE FROM idempotency WHERE at > ?1 AND at <= ?2 AND NOT EXISTS
            (SELECT 1 FROM invocation WHERE invocation.cid = idempotency.cid AND invocation.state < 3)";
        let forgotten = connection.prepare_cached(sql)?.execute([self.at, last])?;
        let gone = i64::try_from(forgotten).unwrap_or(i64::MAX);
        self.held -= gone;
        self.passed += u64::try_from(looked - gone).unwrap_or_default();
        self.at = last;
        Ok(forgotten)
    }
}

/// When the first key was given after this time.
fn after(connection: &Connection, at: i64) -> rusqlite::Result<Option<SystemTime>> {
    let sql = "SELECT at FROM idempotency WHERE at > ?1 ORDER BY at LIMIT 1";
    let first =
        connection.prepare_cached(sql)?.query_row([at], |row| row.get::<_, ReadTime>(0)).optional()?;
    Ok(first.map(|first| first.0))
}

/// How many keys there are, and when the oldest was given.
pub(in crate::engine::sqlite) fn count(
    connection: &Connection,
) -> rusqlite::Result<(i64, Option<SystemTime>)> {
    let held = connection.query_row("SELECT count(*) FROM idempotency", [], |row| row.get(0))?;
    Ok((held, after(connection, i64::MIN)?))
}
