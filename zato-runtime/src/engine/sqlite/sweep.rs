//! How what has ended is forgotten: the oldest first, a few at a time, without an index of it.
//!
//! A pass goes through the rows in accept order, and stops where one is met that is to be kept. What it has passed by
//! that had not ended, or whose caller had not, is behind it then; another pass begins when enough has ended since for
//! its cost to be borne, or after an hour.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};

use super::codec::{ReadTime, State};
use super::rows::Rows;

/// A pass that has passed by this many rows is made again when one has ended since.
const PASSED_FOR_ONE: u64 = 16;

/// After this long a pass is made again, however many rows it has passed by.
const LONGEST: Duration = Duration::from_hours(1);

/// What has ended is too old this long after it is as old as may be.
const MOMENT: Duration = Duration::from_millis(1);

/// What has ended and is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) ended: Pass,
    pub(super) dead: Pass,
    /// When the oldest idempotency key was noted, or before; none where there is no key.
    pub(super) oldest_key: Option<SystemTime>,
    /// Whether what had ended before the file was opened is among them.
    pub(super) is_counted: bool,
}

/// What has ended of one class, and how far the pass that sweeps it has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    class: Class,
    /// How many are held. Less than none where some that had not been counted were discarded.
    pub(super) held: i64,
    /// The accept number of the last row that it has seen.
    at: i64,
    /// How many rows it has seen and left.
    passed: u64,
    /// How many of any class have ended since it began.
    ended_since: u64,
    /// Whether it has come to a row that is to be kept, or to the last.
    has_stopped: bool,
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

/// How many had ended and were kept, and how many of them were dead letters, at some time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    ended: i64,
    dead: i64,
    oldest_key: Option<SystemTime>,
}

/// Counts what has ended and is kept; reads an index of all rows.
///
/// # Errors
///
/// Those of reading the file.
pub(crate) fn count(connection: &Connection) -> rusqlite::Result<Counted> {
    let sql = "SELECT (SELECT count(*) FROM invocation), (SELECT count(*) FROM invocation WHERE state < 3),
                      (SELECT count(*) FROM invocation WHERE state = 4)";
    let oldest_key = oldest_key(connection)?;
    connection.query_row(sql, [], |row| {
        let (all, live, dead): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Counted { ended: all - live - dead, dead, oldest_key })
    })
}

/// When the oldest idempotency key was noted.
pub(super) fn oldest_key(connection: &Connection) -> rusqlite::Result<Option<SystemTime>> {
    let mut statement = connection.prepare_cached("SELECT min(at) FROM idempotency")?;
    statement.query_row([], |row| Ok(row.get::<_, Option<ReadTime>>(0)?.map(|at| at.0)))
}

impl Default for Kept {
    fn default() -> Self {
        let (ended, dead) = (Pass::new(Class::Ended, 0), Pass::new(Class::Dead, 0));
        Self { ended, dead, oldest_key: None, is_counted: false }
    }
}

impl Kept {
    pub(super) fn counted(&mut self, kept: Counted) {
        self.ended.held += kept.ended;
        self.dead.held += kept.dead;
        kept.oldest_key.into_iter().for_each(|at| self.noted_key(at));
        self.is_counted = true;
    }

    pub(super) fn noted_key(&mut self, at: SystemTime) {
        self.oldest_key = Some(self.oldest_key.map_or(at, |oldest| oldest.min(at)));
    }

    pub(super) fn has_ended(&mut self, is_dead: bool) {
        self.ended.ended_since += 1;
        self.dead.ended_since += 1;
        let class = if is_dead { &mut self.dead } else { &mut self.ended };
        class.held += 1;
    }
}

impl Pass {
    fn new(class: Class, held: i64) -> Self {
        Self {
            class,
            held,
            at: 0,
            passed: 0,
            ended_since: 0,
            has_stopped: false,
            stopped_at: None,
            began: None,
        }
    }

    /// When a step may find something that is kept for so long, though nothing more ends: in the past where the pass
    /// has not come to its end; never where nothing is held that becomes too old.
    pub(super) fn due(&self, kept_for: Duration) -> Option<SystemTime> {
        if self.held <= 0 {
            return None;
        }
        if !self.has_stopped {
            return Some(SystemTime::UNIX_EPOCH);
        }
        let next = self.stopped_at.and_then(|at| at.checked_add(kept_for)?.checked_add(MOMENT));
        // What has ended behind it is found by the next pass.
        let has_left = self.passed > 0 && self.ended_since > 0;
        let again = self.began.filter(|_| has_left);
        let again = again.and_then(|began| began.checked_add(kept_for)?.checked_add(LONGEST));
        next.into_iter().chain(again).min()
    }

    /// Begins anew if there is something behind it that is worth it.
    fn begin(&mut self, older_than: SystemTime) {
        let began = *self.began.get_or_insert(older_than);
        let is_borne = self.ended_since > 0 && self.ended_since * PASSED_FOR_ONE >= self.passed;
        let is_late = older_than.duration_since(began).is_ok_and(|age| age >= LONGEST);
        if self.has_stopped && self.passed > 0 && (is_borne || is_late) {
            *self = Self { began: Some(older_than), ..Self::new(self.class, self.held) };
        }
        self.has_stopped = false;
    }

    /// Looks at up to `limit` rows, and answers with those that are to go.
    fn look(
        &mut self,
        connection: &Connection,
        most: u64,
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
            if row.get::<_, State>(1)? != wanted || is_held {
                self.passed += 1;
            } else if self.held > i64::try_from(most).unwrap_or(i64::MAX) || ended_at()? < older_than {
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

impl Class {
    /// The rows after one, with their state, when they ended, and whether something that has not ended still needs
    /// them: the invocation that made them, the group whose place they fill.
    fn sql(self) -> &'static str {
        match self {
            Self::Ended => {
                "SELECT accept, state, ended_at, CASE WHEN state = 3 THEN EXISTS (SELECT 1 FROM invocation AS above
                     WHERE above.cid IN (i.parent, i.slot_group, i.hidden_by) AND above.state < 3) ELSE 0 END
                 FROM invocation AS i WHERE accept > ?1 ORDER BY accept LIMIT ?2"
            }
            Self::Dead => {
                "SELECT accept, state, ended_at, EXISTS (SELECT 1 FROM invocation AS above
                     WHERE above.cid IN (i.parent, i.slot_group, i.hidden_by) AND above.state < 3)
                 FROM invocation AS i WHERE accept > ?1 AND state = 4 ORDER BY accept LIMIT ?2"
            }
        }
    }
}

impl Rows {
    /// Forgets what has ended: of this class the oldest by accept number, as long as more than `most` are held, and
    /// what ended before `older_than`. What was made by something that has not ended, or fills a place of a group that
    /// has not, is kept. Looks at `limit` rows at the most, whatever they are, so that a step is short. Answers how
    /// many were forgotten, and whether there is nothing more to do for now.
    pub(crate) fn sweep(
        &mut self,
        class: Class,
        most: u64,
        older_than: SystemTime,
        limit: usize,
    ) -> rusqlite::Result<Swept> {
        if !self.kept.is_counted {
            return Ok(Swept { forgotten: 0, is_done: true });
        }
        let pass = match class {
            Class::Ended => &mut self.kept.ended,
            Class::Dead => &mut self.kept.dead,
        };
        pass.begin(older_than);
        let going = pass.look(&self.connection, most, older_than, limit)?;
        let is_done = pass.has_stopped;
        let mut delete = self.connection.prepare_cached("DELETE FROM invocation WHERE accept = ?1")?;
        for number in &going {
            delete.execute([number])?;
        }
        Ok(Swept { forgotten: going.len(), is_done })
    }

    /// How many of this class have ended and are kept.
    #[cfg(test)]
    pub(crate) fn held(&self, class: Class) -> i64 {
        match class {
            Class::Ended => self.kept.ended.held,
            Class::Dead => self.kept.dead.held,
        }
    }
}

/// What a step of sweeping came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swept {
    /// How many were forgotten.
    pub(crate) forgotten: usize,
    /// Whether there is nothing more to do for now.
    pub(crate) is_done: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite::insert::As;
    use crate::engine::sqlite::lookups;
    use crate::engine::sqlite::samples::{Store, at, child, completed, ended, failed, invocation, nth};
    use crate::found::Filter;

    /// The accept numbers of all that is held.
    fn held(rows: &Rows) -> Vec<u64> {
        let filter = Filter::new().limit(10_000);
        let mut held: Vec<_> = lookups::list(rows.connection(), &filter)
            .expect("they can be read")
            .iter()
            .map(crate::engine::sqlite::columns::Stored::number)
            .collect();
        held.reverse();
        held
    }

    /// The n-th is accepted, and ends n seconds after a day of 2023.
    fn add(rows: &mut Rows, n: u64, is_dead: bool) {
        rows.accepted(n, &invocation(nth(n)), 0, As::Waiting, None).expect("it is accepted");
        end(rows, n, n, is_dead);
    }

    fn end(rows: &mut Rows, n: u64, seconds: u64, is_dead: bool) {
        let outcome = if is_dead { failed() } else { completed() };
        assert!(rows.ended(&ended(invocation(nth(n)), outcome, at(seconds))).expect("it ends"));
    }

    /// Sweeps until there is nothing more to do.
    fn sweep(rows: &mut Rows, class: Class, most: u64, older_than: u64) -> usize {
        let mut forgotten = 0;
        loop {
            let swept = rows.sweep(class, most, at(older_than), 4).expect("it is swept");
            assert!(swept.forgotten <= 4);
            forgotten += swept.forgotten;
            if swept.is_done {
                return forgotten;
            }
        }
    }

    #[test]
    fn the_oldest_go_by_number_and_by_age() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        (1..=20).for_each(|n| add(rows, n, false));
        assert_eq!(sweep(rows, Class::Ended, 15, 0), 5);
        assert_eq!(held(rows), (6..=20).collect::<Vec<_>>());
        assert_eq!(sweep(rows, Class::Ended, 100, 10), 4, "what ended before");
        assert_eq!(held(rows), (10..=20).collect::<Vec<_>>());
        assert_eq!(sweep(rows, Class::Ended, 100, 10), 0);
        assert_eq!((rows.held(Class::Ended), rows.held(Class::Dead)), (11, 0));
        assert_eq!(sweep(rows, Class::Ended, 0, 0), 11);
        assert!(held(rows).is_empty());
    }

    #[test]
    fn dead_letters_are_kept_apart() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        (1..=10).for_each(|n| add(rows, n, n % 2 == 0));
        assert_eq!(sweep(rows, Class::Ended, 0, 0), 5);
        assert_eq!(held(rows), [2, 4, 6, 8, 10]);
        assert_eq!(sweep(rows, Class::Dead, 2, 0), 3);
        assert_eq!(held(rows), [8, 10]);
        assert_eq!(sweep(rows, Class::Dead, 2, 100), 2);
    }

    #[test]
    fn what_has_not_ended_keeps_what_it_made() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        let parent = invocation(nth(1));
        rows.accepted(1, &parent, 0, As::Started(at(0)), None).expect("it is accepted");
        let made = child(&parent, nth(2));
        rows.accepted(2, &made, 0, As::Waiting, None).expect("it is accepted");
        assert!(rows.ended(&ended(made, completed(), at(1))).expect("it ends"));
        // A member of a group that is open, and what was made inside a synchronous call.
        let mut member = invocation(nth(3));
        member.slot = Some(zato_core::Slot { group: nth(1), index: 0 });
        rows.accepted(3, &member, 0, As::Waiting, None).expect("it is accepted");
        assert!(rows.ended(&ended(member, completed(), at(1))).expect("it ends"));
        rows.accepted(4, &child(&invocation(nth(90)), nth(4)), 0, As::Waiting, Some(nth(1)))
            .expect("it is accepted");
        end(rows, 4, 1, false);
        add(rows, 5, false);
        assert_eq!(sweep(rows, Class::Ended, 0, 100), 1);
        assert_eq!(held(rows), [1, 2, 3, 4]);
        // Its end has another pass begin.
        end(rows, 1, 2, false);
        assert_eq!(sweep(rows, Class::Ended, 0, 100), 4);
        assert!(held(rows).is_empty());
    }

    /// What ends behind a pass waits for one that is worth it, or for an hour.
    #[test]
    fn what_ends_behind_a_pass_goes_with_a_later_one() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        for n in 1..=64 {
            rows.accepted(n, &invocation(nth(n)), 0, As::Waiting, None).expect("it is accepted");
        }
        add(rows, 65, false);
        assert_eq!(sweep(rows, Class::Ended, 100, 1_000), 1);
        end(rows, 7, 7, false);
        assert_eq!(sweep(rows, Class::Ended, 100, 1_000), 0, "one end does not bear 64 rows");
        assert_eq!(sweep(rows, Class::Ended, 100, 1_000 + 3_600), 1, "an hour has passed");
        (8..=11).for_each(|n| end(rows, n, n, false));
        assert_eq!(sweep(rows, Class::Ended, 100, 1_000 + 3_600), 4, "four do");
        assert_eq!(rows.held(Class::Ended), 0);
    }

    #[test]
    fn a_sweep_that_is_undone_is_made_again() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        (1..=3).for_each(|n| add(rows, n, false));
        rows.begin().expect("it begins");
        assert_eq!(sweep(rows, Class::Ended, 1, 0), 2);
        rows.rollback().expect("it is undone");
        assert_eq!((rows.held(Class::Ended), held(rows)), (3, vec![1, 2, 3]));
        assert_eq!(sweep(rows, Class::Ended, 1, 0), 2);
        assert_eq!(held(rows), [3]);
    }
}
