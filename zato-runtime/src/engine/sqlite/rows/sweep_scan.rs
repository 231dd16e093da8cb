//! Scans for rows that are to be deleted.
//!
//! A pass goes through the rows in accept order, and stops where one is met that is to be kept. What it has passed by
//! that had not ended, or whose caller had not, is behind it then; another pass begins when enough has ended since for
//! its cost to be borne, or after an hour.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};
use zato_core::Cid;

use super::codec::{ReadCid, ReadTime, State};

/// A pass that has passed by this many rows is made again when one has ended since.
const PASSED_FOR_ONE: u64 = 16;

/// After this long a pass is made again, however many rows it has passed by.
const LONGEST: Duration = Duration::from_hours(1);

/// What has ended is too old this long after it is as old as may be.
const MOMENT: Duration = Duration::from_millis(1);

/// What has ended of one class, and how far the pass that sweeps it has come.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::sqlite) struct SweepScan {
    class: Class,
    /// How many are held. Less than none where some that had not been counted were discarded.
    pub(in crate::engine::sqlite) held: i64,
    /// The accept number of the last row that it has seen.
    at: i64,
    /// How many rows it has seen and left.
    passed: u64,
    /// How many of any class have ended since it began.
    pub(in crate::engine::sqlite) ended_since: u64,
    /// How many idempotency keys have gone since it began, which may have led to rows that it has left.
    pub(in crate::engine::sqlite) keys_gone_since: u64,
    /// Whether it has come to a row that is to be kept, or to the last.
    pub(in crate::engine::sqlite) has_stopped: bool,
    /// When that row ended.
    stopped_at: Option<SystemTime>,
    /// When it began, as that which is older goes: not a time of day.
    began: Option<SystemTime>,
}

/// What is kept for a time and in a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// What has completed, or was called synchronously.
    Ended,
    /// Dead letters, also those that have been run again.
    Dead,
}

impl SweepScan {
    pub(in crate::engine::sqlite) fn new(class: Class, held: i64) -> Self {
        Self {
            class,
            held,
            at: 0,
            passed: 0,
            ended_since: 0,
            keys_gone_since: 0,
            has_stopped: false,
            stopped_at: None,
            began: None,
        }
    }

    /// When a step may find something that is kept for so long, though nothing more ends: in the past where the pass
    /// has not come to its end; never where nothing is held that becomes too old.
    pub(in crate::engine::sqlite) fn due(&self, kept_for: Duration) -> Option<SystemTime> {
        if self.held <= 0 {
            return None;
        }
        if !self.has_stopped || self.passed > 0 && self.is_borne_by(self.keys_gone_since) {
            return Some(SystemTime::UNIX_EPOCH);
        }
        let next = self.stopped_at.and_then(|at| at.checked_add(kept_for)?.checked_add(MOMENT));
        // What has ended behind it is found by the next pass.
        let has_left = self.passed > 0 && self.ended_since > 0;
        let again = self.began.filter(|_| has_left);
        let again = again.and_then(|began| began.checked_add(kept_for)?.checked_add(LONGEST));
        next.into_iter().chain(again).min()
    }

    /// Whether it would find nothing to forget now.
    pub(in crate::engine::sqlite) fn rests(&self, most: i64, older_than: SystemTime) -> bool {
        let is_held_up = || self.has_stopped && self.stopped_at.is_some_and(|at| at >= older_than);
        self.held <= 0 || self.held <= most && is_held_up() && !self.is_worth_another(older_than)
    }

    /// Whether so many, of which each may have left a row behind it, are enough to begin anew.
    fn is_borne_by(&self, count: u64) -> bool {
        count > 0 && count * PASSED_FOR_ONE >= self.passed
    }

    /// Whether there is something behind it that is worth beginning anew.
    fn is_worth_another(&self, older_than: SystemTime) -> bool {
        let is_borne = self.is_borne_by(self.ended_since) || self.is_borne_by(self.keys_gone_since);
        let age = self.began.and_then(|began| older_than.duration_since(began).ok());
        self.has_stopped && self.passed > 0 && (is_borne || age.is_some_and(|age| age >= LONGEST))
    }

    /// Goes on, or begins anew.
    pub(in crate::engine::sqlite) fn begin(&mut self, older_than: SystemTime) {
        if self.is_worth_another(older_than) {
            *self = Self { began: Some(older_than), ..Self::new(self.class, self.held) };
        }
        self.began.get_or_insert(older_than);
        self.has_stopped = false;
    }

    /// Looks at up to `limit` rows, and answers with those that are to go. What `callers` have made is kept.
    pub(in crate::engine::sqlite) fn look(
        &mut self,
        connection: &Connection,
        callers: &HashSet<Cid>,
        most: i64,
        older_than: SystemTime,
        limit: usize,
    ) -> rusqlite::Result<Vec<i64>> {
        let wanted = match self.class {
            Class::Ended => State::Ended,
            Class::Dead => State::Dead,
        };
        let mut statement = connection.prepare_cached(self.class.sql())?;
        let mut rows = statement.query(params![self.at, limit])?;
        let mut going = Vec::new();
        let mut seen = 0;
        self.stopped_at = None;
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            let is_held: bool = row.get(3)?;
            let ended_at = || row.get::<_, ReadTime>(2).map(|at| at.0);
            if row.get::<_, State>(1)? != wanted || is_held || is_called_by(connection, callers, number)? {
                self.passed += 1;
            } else if self.held > most || ended_at()? < older_than {
                self.held -= 1;
                going.push(number);
            } else {
                (self.has_stopped, self.stopped_at) = (true, Some(ended_at()?));
                return Ok(going);
            }
            self.at = number;
            seen += 1;
        }
        self.has_stopped = seen < limit;
        Ok(going)
    }
}

/// Whether one of these has made the invocation with this accept number.
fn is_called_by(connection: &Connection, callers: &HashSet<Cid>, number: i64) -> rusqlite::Result<bool> {
    if callers.is_empty() {
        return Ok(false);
    }
    let mut statement =
        connection.prepare_cached("SELECT parent, hidden_by FROM invocation WHERE accept = ?1")?;
    statement.query_row([number], |row| {
        let is_one = |column| {
            let cid: Option<ReadCid> = row.get(column)?;
            Ok::<_, rusqlite::Error>(cid.is_some_and(|cid| callers.contains(&cid.0)))
        };
        Ok(is_one(0)? || is_one(1)?)
    })
}

impl Class {
    /// The rows after one, with their state, when they ended, and whether something still needs them: the invocation that
    /// made them, or the group whose place they fill, which has not ended, or the idempotency key that leads to them.
    fn sql(self) -> &'static str {
        match self {
            Self::Ended => {
                "SELECT accept, state, ended_at, CASE WHEN state = 3 THEN EXISTS (SELECT 1 FROM invocation AS above
                     WHERE above.cid IN (i.parent, i.slot_group, i.hidden_by) AND above.state < 3)
                     OR (options IS NOT NULL AND EXISTS (SELECT 1 FROM idempotency AS key WHERE key.cid = i.cid)) ELSE 0 END
                 FROM invocation AS i WHERE accept > ?1 ORDER BY accept LIMIT ?2"
            }
            Self::Dead => {
                "SELECT accept, state, ended_at, EXISTS (SELECT 1 FROM invocation AS above
                     WHERE above.cid IN (i.parent, i.slot_group, i.hidden_by) AND above.state < 3)
                     OR (options IS NOT NULL AND EXISTS (SELECT 1 FROM idempotency AS key WHERE key.cid = i.cid))
                 FROM invocation AS i WHERE accept > ?1 AND state = 4 ORDER BY accept LIMIT ?2"
            }
        }
    }
}
