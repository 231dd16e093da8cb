//! The retention settings, and when the oldest row becomes too old.

use std::time::{Duration, SystemTime};

use super::sweep_scan::Class;
use super::write_connection::WriteConnection;
use crate::config::Config;

/// How many are kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::sqlite) struct Retention {
    ended: u64,
    ended_for: Duration,
    dead: u64,
    dead_for: Duration,
    keys_for: Duration,
    keys: usize,
}

impl Retention {
    pub(in crate::engine::sqlite) fn of(config: &Config) -> Self {
        Self {
            ended: config.keep_ended.map_or(1_000_000, |most| most as u64),
            ended_for: config.keep_ended_for,
            dead: config.keep_dead as u64,
            dead_for: config.keep_dead_for,
            keys_for: config.keep_keys,
            keys: config.max_keys(true),
        }
    }

    /// Forgets what is too old or too many, keys only `with_keys`. Looks at `limit` rows of each class at the most.
    pub(in crate::engine::sqlite) fn sweep(
        &self,
        rows: &mut WriteConnection,
        now: SystemTime,
        limit: usize,
        with_keys: bool,
    ) -> rusqlite::Result<()> {
        let oldest = |kept_for| now.checked_sub(kept_for).unwrap_or(SystemTime::UNIX_EPOCH);
        rows.sweep(Class::Ended, self.ended, oldest(self.ended_for), limit)?;
        rows.sweep(Class::Dead, self.dead, oldest(self.dead_for), limit)?;
        if with_keys {
            rows.forget_keys(now, oldest(self.keys_for), self.keys, limit)?;
        }
        Ok(())
    }

    /// When there is something to sweep next, though nothing more ends: in the past if there is now, never if nothing
    /// is kept that becomes too old.
    pub(in crate::engine::sqlite) fn due(&self, rows: &WriteConnection) -> Option<SystemTime> {
        let kept = &rows.kept;
        let key = kept.keys.due(self.keys_for, i64::try_from(self.keys).unwrap_or(i64::MAX));
        let dues = [kept.ended.due(self.ended_for), kept.dead.due(self.dead_for), key];
        dues.into_iter().flatten().filter(|_| kept.is_counted).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite::rows::insert::As;
    use crate::engine::sqlite::test_data::{Store, at, completed, ended, failed, invocation, nth};
    use crate::record::Key;

    const MINUTE: Duration = Duration::from_mins(1);

    /// Ended ones are kept for a minute, dead letters for ten, keys for a hundred.
    fn retention() -> Retention {
        let config = Config {
            keep_ended: Some(100),
            keep_ended_for: MINUTE,
            keep_dead_for: 10 * MINUTE,
            keep_keys: 100 * MINUTE,
            ..Config::default()
        };
        Retention::of(&config)
    }

    fn accept(rows: &mut WriteConnection, n: u64) {
        rows.changing().accepted(n, &invocation(nth(n)), 0, As::Waiting, None).expect("it is accepted");
    }

    fn end(rows: &mut WriteConnection, n: u64, seconds: u64, is_dead: bool) {
        let outcome = if is_dead { failed() } else { completed() };
        assert!(rows.changing().ended(&ended(invocation(nth(n)), outcome, at(seconds))).expect("it ends"));
    }

    /// Sweeps at this time, and says how many seconds later something is due, a second begun for a whole one.
    fn due_after(rows: &mut WriteConnection, seconds: u64) -> Option<u64> {
        let retention = retention();
        retention.sweep(rows, at(seconds), 1_000, true).expect("it is swept");
        let due = retention.due(rows)?.duration_since(at(seconds)).expect("nothing is due at once");
        Some(due.as_secs() + u64::from(due.subsec_nanos() > 0))
    }

    #[test]
    fn what_is_oldest_is_due_first_and_what_has_not_ended_never_is() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        assert_eq!(retention().due(rows), None, "a new file");
        (1..=3).for_each(|n| accept(rows, n));
        assert_eq!(retention().due(rows), None, "nothing has ended");
        let key = Key { name: "k".into(), digest: 1 };
        rows.changing().note_key(&invocation(nth(1)).service, &key, nth(1), at(0)).expect("it is noted");
        assert_eq!(due_after(rows, 0), Some(100 * 60));
        end(rows, 2, 0, true);
        assert_eq!(due_after(rows, 1), Some(600));
        end(rows, 3, 10, false);
        assert_eq!(due_after(rows, 11), Some(60));
        assert_eq!(due_after(rows, 70), Some(1), "it is kept for a minute, and not for less");
        assert_eq!(due_after(rows, 71), Some(600 - 70), "then it is gone");
        assert_eq!(due_after(rows, 601), Some(6_000 - 601));
        assert_eq!(due_after(rows, 6_000), None);
        assert_eq!((rows.held(Class::Ended), rows.held(Class::Dead)), (0, 0));
    }

    #[test]
    fn what_has_ended_behind_a_pass_is_due_with_the_next() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        (1..=100).for_each(|n| accept(rows, n));
        end(rows, 100, 0, false);
        assert_eq!(due_after(rows, 0), Some(61));
        end(rows, 1, 1, false);
        assert_eq!(due_after(rows, 61), Some(3_600 - 61), "an hour after the last");
        assert_eq!(rows.held(Class::Ended), 1);
        assert_eq!(due_after(rows, 3_600), None, "and nobody looks again");
        assert_eq!(rows.held(Class::Ended), 0);
    }

    #[test]
    fn nothing_is_due_before_it_is_counted() {
        let mut store = Store::new();
        accept(&mut store.rows, 1);
        end(&mut store.rows, 1, 0, false);
        let connection =
            crate::engine::sqlite::file::connect::open_read_only(&store.path()).expect("it opens");
        assert_eq!(retention().due(&WriteConnection::new(connection)), None);
        assert_eq!(retention().due(&store.rows), Some(SystemTime::UNIX_EPOCH));
    }
}
