//! Deletes old ended rows, a few at a time, the oldest first, without an index.

use std::time::SystemTime;

use super::sweep_scan::Class;
use super::write_connection::WriteConnection;

/// So many rows are deleted one by one.
const FEW: usize = 8;

impl WriteConnection {
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
        // What keys lead to is kept beside.
        let most = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(self.kept.keys.held.max(0));
        let pass = match class {
            Class::Ended => &mut self.kept.ended,
            Class::Dead => &mut self.kept.dead,
        };
        if pass.rests(most, older_than) {
            return Ok(Swept { forgotten: 0, is_done: true });
        }
        pass.begin(older_than);
        let going = pass.look(&self.connection, &self.callers.now(), most, older_than, limit)?;
        let is_done = pass.has_stopped;
        // Nearly all of a pass stand one after the other.
        for run in going.chunk_by(|one, next| one + 1 == *next) {
            self.forget(run)?;
        }
        Ok(Swept { forgotten: going.len(), is_done })
    }

    /// Deletes rows that stand one after the other. To look for each takes half as long again, where they are not few.
    fn forget(&self, run: &[i64]) -> rusqlite::Result<()> {
        if run.len() <= FEW {
            let mut one = self.connection.prepare_cached("DELETE FROM invocation WHERE accept = ?1")?;
            return run.iter().try_for_each(|number| one.execute([number]).map(drop));
        }
        let sql = "DELETE FROM invocation WHERE accept BETWEEN ?1 AND ?2";
        self.connection.prepare_cached(sql)?.execute([run.first(), run.last()]).map(drop)
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
    use crate::engine::sqlite::read::queries;
    use crate::engine::sqlite::rows::insert::As;
    use crate::engine::sqlite::test_data::{Store, at, child, completed, ended, failed, invocation, nth};
    use crate::record::lookup::Filter;

    /// The accept numbers of all that is held.
    fn held(rows: &WriteConnection) -> Vec<u64> {
        let filter = Filter::new().limit(10_000);
        let mut held: Vec<_> = queries::list(rows.connection(), &filter)
            .expect("they can be read")
            .iter()
            .map(crate::engine::sqlite::rows::columns::Stored::number)
            .collect();
        held.reverse();
        held
    }

    /// The n-th is accepted, and ends n seconds after a day of 2023.
    fn add(rows: &mut WriteConnection, n: u64, is_dead: bool) {
        rows.changing().accepted(n, &invocation(nth(n)), 0, As::Waiting, None).expect("it is accepted");
        end(rows, n, n, is_dead);
    }

    fn end(rows: &mut WriteConnection, n: u64, seconds: u64, is_dead: bool) {
        let outcome = if is_dead { failed() } else { completed() };
        assert!(rows.changing().ended(&ended(invocation(nth(n)), outcome, at(seconds))).expect("it ends"));
    }

    /// Sweeps until there is nothing more to do.
    fn sweep(rows: &mut WriteConnection, class: Class, most: u64, older_than: u64) -> usize {
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
    fn what_stands_between_those_that_go_stays() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        (1..=60).for_each(|n| add(rows, n, n == 7 || n % 25 == 0));
        let swept = rows.sweep(Class::Ended, 0, at(0), 100).expect("it is swept");
        assert_eq!((swept.forgotten, held(rows)), (57, vec![7, 25, 50]));
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
        rows.changing().accepted(1, &parent, 0, As::Started(at(0).into()), None).expect("it is accepted");
        let made = child(&parent, nth(2));
        rows.changing().accepted(2, &made, 0, As::Waiting, None).expect("it is accepted");
        assert!(rows.changing().ended(&ended(made, completed(), at(1))).expect("it ends"));
        // A member of a group that is open, and what was made inside a synchronous call.
        let mut member = invocation(nth(3));
        member.slot = Some(zato_core::Slot { group: nth(1), index: 0 });
        rows.changing().accepted(3, &member, 0, As::Waiting, None).expect("it is accepted");
        assert!(rows.changing().ended(&ended(member, completed(), at(1))).expect("it ends"));
        rows.changing()
            .accepted(4, &child(&invocation(nth(90)), nth(4)), 0, As::Waiting, Some(nth(1)))
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
            rows.changing().accepted(n, &invocation(nth(n)), 0, As::Waiting, None).expect("it is accepted");
        }
        add(rows, 65, false);
        assert_eq!(sweep(rows, Class::Ended, 100, 1_000), 1);
        end(rows, 7, 7, false);
        assert_eq!(sweep(rows, Class::Ended, 100, 1_000), 0, "one end does not bear 64 rows");
        assert_eq!(sweep(rows, Class::Ended, 100, 1_000 + 3_600), 1, "an hour has passed");
        (9..=12).for_each(|n| end(rows, n, n, false));
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
