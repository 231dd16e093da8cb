//! Trees and groups as the file holds them.

use std::sync::Arc;

use rusqlite::{Connection, params};
use zato_core::Cid;

use super::codec::{self, ReadCid};
use super::columns::{Stored, columns, stored};
use super::names::NamesOf;
use crate::record::Ended;

/// A place of a group, and who fills it: of a chain, the step that has it now.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The place, from 0.
    pub(crate) index: u32,
    /// Who fills it.
    pub(crate) cid: Cid,
    /// How that ended, if it has.
    pub(crate) ended: Option<Arc<Ended>>,
}

/// Names what is below `above` within one tree, from a `WITH RECURSIVE`: what a handler made, the members of a group,
/// and what was made inside a synchronous call, which may not be held itself.
macro_rules! below {
    () => {
        "WITH RECURSIVE below (cid) AS (
            VALUES (?1)
            UNION SELECT i.cid FROM below JOIN invocation AS i ON i.parent = below.cid WHERE i.root = ?2
            UNION SELECT i.cid FROM below JOIN invocation AS i ON i.slot_group = below.cid WHERE i.root = ?2
            UNION SELECT i.cid FROM below JOIN invocation AS i ON i.hidden_by = below.cid WHERE i.root = ?2
        ) "
    };
}

/// Everything that is held of the tree with this root, in the order in which it was called. What is below something
/// that has been swept is not found.
///
/// # Errors
///
/// Here and below: those of reading the file, and of rows that are damaged.
pub(crate) fn tree(connection: &Connection, root: Cid) -> rusqlite::Result<Vec<Stored>> {
    let names = NamesOf::new(connection);
    let sql = concat!(
        below!(),
        "SELECT ",
        columns!(),
        " FROM invocation WHERE cid IN (SELECT cid FROM below) AND root = ?2 ORDER BY cid"
    );
    let root = codec::cid(root);
    connection.prepare_cached(sql)?.query_map(params![root, root], |row| stored(row, &names))?.collect()
}

/// What has not ended of the tree with this root below an invocation of it, whether that is held or not.
pub(crate) fn below(connection: &Connection, root: Cid, above: Cid) -> rusqlite::Result<Vec<Cid>> {
    let sql = concat!(
        below!(),
        "SELECT cid FROM invocation WHERE cid IN (SELECT cid FROM below) AND cid <> ?1 AND state < 3 ORDER BY accept"
    );
    connection
        .prepare_cached(sql)?
        .query_map(params![codec::cid(above), codec::cid(root)], |row| Ok(row.get::<_, ReadCid>(0)?.0))?
        .collect()
}

/// The places of a group in their order, each with who fills it: the last that was accepted for it.
pub(crate) fn members(connection: &Connection, group: Cid) -> rusqlite::Result<Vec<Member>> {
    let names = NamesOf::new(connection);
    let sql =
        concat!("SELECT ", columns!(), " FROM invocation WHERE slot_group = ?1 ORDER BY slot_index, accept");
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([codec::cid(group)])?;
    let mut members: Vec<Member> = Vec::new();
    while let Some(row) = rows.next()? {
        let stored = stored(row, &names)?;
        let Some(slot) = stored.invocation().slot else { continue };
        let cid = stored.invocation().cid;
        let ended = match stored {
            Stored::Ended(row) => Some(row.ended),
            Stored::Live(_) => None,
        };
        let member = Member { index: slot.index, cid, ended };
        match members.last_mut().filter(|last| last.index == slot.index) {
            Some(last) => *last = member,
            None => members.push(member),
        }
    }
    Ok(members)
}
