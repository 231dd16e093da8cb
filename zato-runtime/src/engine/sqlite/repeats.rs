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
