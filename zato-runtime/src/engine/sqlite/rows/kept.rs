//! The numbers of ended invocations and idempotency keys in the file, and the positions of the scans for old ones.

use std::time::SystemTime;

use rusqlite::Connection;

use super::key_sweep_scan::{self, KeyPass};
use super::sweep_scan::{Class, SweepScan};

/// What has ended and is kept.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::sqlite) struct EndedCounts {
    pub(in crate::engine::sqlite) ended: SweepScan,
    pub(in crate::engine::sqlite) dead: SweepScan,
    /// The idempotency keys.
    pub(in crate::engine::sqlite) keys: KeyPass,
    /// Whether what had ended before the file was opened is among them.
    pub(in crate::engine::sqlite) is_counted: bool,
}

/// How many had ended and were kept, and how many of them were dead letters, at some time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    ended: i64,
    dead: i64,
    keys: (i64, Option<SystemTime>),
}

/// Counts what has ended and is kept; reads an index of all rows.
///
/// # Errors
///
/// Those of reading the file.
pub(crate) fn count(connection: &Connection) -> rusqlite::Result<Counted> {
    let sql = "SELECT (SELECT count(*) FROM invocation), (SELECT count(*) FROM invocation WHERE state < 3),
                      (SELECT count(*) FROM invocation WHERE state = 4)";
    let keys = key_sweep_scan::count(connection)?;
    connection.query_row(sql, [], |row| {
        let (all, live, dead): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Counted { ended: all - live - dead, dead, keys })
    })
}

impl Default for EndedCounts {
    fn default() -> Self {
        let (ended, dead) = (SweepScan::new(Class::Ended, 0), SweepScan::new(Class::Dead, 0));
        Self { ended, dead, keys: KeyPass::default(), is_counted: false }
    }
}

impl EndedCounts {
    pub(in crate::engine::sqlite) fn counted(&mut self, kept: Counted) {
        self.ended.held += kept.ended;
        self.dead.held += kept.dead;
        self.keys.counted(kept.keys.0, kept.keys.1);
        self.is_counted = true;
    }

    pub(in crate::engine::sqlite) fn has_ended(&mut self, is_dead: bool) {
        self.ended.ended_since += 1;
        self.dead.ended_since += 1;
        self.keys.ended_since += 1;
        let class = if is_dead { &mut self.dead } else { &mut self.ended };
        class.held += 1;
    }
}
