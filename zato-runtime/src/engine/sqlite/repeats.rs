//! What the attempts of a handler that may be run again have called.

use rusqlite::{Connection, params};
use zato_core::Cid;

use super::codec::{self, ReadCid, ReadDigest};
use super::rows::Rows;
use crate::record::AttemptId;

/// A call that an attempt has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    /// The last attempt that made it, or was given its child.
    pub(crate) by: AttemptId,
    /// What makes it equal to another.
    pub(crate) digest: u128,
    /// What it made.
    pub(crate) child: Cid,
}

impl Rows {
    /// The call was made, and its child was accepted under this number.
    pub(crate) fn note_call(&mut self, number: u64, call: &Call) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO call (parent, accept, digest, child, attempt) VALUES (?1, ?2, ?3, ?4, ?5)";
        let (parent, child) = (codec::cid(call.by.cid), codec::cid(call.child));
        let digest = codec::digest(call.digest);
        self.change(sql, params![parent, number, digest, child, call.by.number])?;
        Ok(())
    }

    /// The attempt was given the child of an equal call of an earlier one. Answers whether that was noted.
    pub(crate) fn give_call(&mut self, by: AttemptId, child: Cid) -> rusqlite::Result<bool> {
        let sql = "UPDATE call SET attempt = ?3 WHERE parent = ?1 AND child = ?2";
        self.change(sql, params![codec::cid(by.cid), codec::cid(child), by.number])
    }

    /// Forgets what the attempts of an invocation have called. Answers whether there was anything.
    pub(crate) fn forget_calls(&mut self, parent: Cid) -> rusqlite::Result<bool> {
        self.change("DELETE FROM call WHERE parent = ?1", params![codec::cid(parent)])
    }
}

/// What the attempts of all invocations have called, those of one together and in the order in which they were made.
///
/// # Errors
///
/// Those of reading the file.
pub(crate) fn calls(connection: &Connection) -> rusqlite::Result<Vec<Call>> {
    let sql = "SELECT parent, attempt, digest, child FROM call ORDER BY parent, accept";
    connection
        .prepare_cached(sql)?
        .query_map([], |row| {
            let by = AttemptId { cid: row.get::<_, ReadCid>(0)?.0, number: row.get(1)? };
            Ok(Call { by, digest: row.get::<_, ReadDigest>(2)?.0, child: row.get::<_, ReadCid>(3)?.0 })
        })?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite::samples::{Store, nth};

    #[test]
    fn calls_come_back_in_the_order_in_which_they_were_made() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        let by = |parent, number| AttemptId { cid: nth(parent), number };
        let call = |parent, child, digest| Call { by: by(parent, 1), digest, child: nth(child) };
        let made = [call(1, 30, 5), call(1, 20, 5), call(1, 25, 6), call(2, 40, 5)];
        for (number, call) in [9, 10, 11, 3].into_iter().zip(&made) {
            rows.note_call(number, call).expect("it is noted");
        }
        assert_eq!(calls(rows.connection()).expect("they can be read"), made);
        assert!(rows.give_call(by(1, 2), nth(20)).expect("it is noted"));
        assert!(!rows.give_call(by(2, 2), nth(20)).expect("it is of another"));
        let given = calls(rows.connection()).expect("they can be read");
        assert_eq!(given[1], Call { by: by(1, 2), ..made[1] });
        assert!(rows.forget_calls(nth(1)).expect("they go"));
        assert!(!rows.forget_calls(nth(1)).expect("they are gone"));
        assert_eq!(calls(rows.connection()).expect("they can be read"), made[3..]);
    }
}
