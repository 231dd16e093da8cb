//! Queries for trees and groups.

use std::sync::Arc;

use rusqlite::Connection;
use zato_core::Cid;

use crate::engine::sqlite::rows::codec;
use crate::engine::sqlite::rows::codec::ReadCid;
use crate::engine::sqlite::rows::columns::{Stored, columns, stored};
use crate::engine::sqlite::rows::service_ids::NamesOf;
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

/// Everything that is held of the tree with this root, in the order of the CIDs.
///
/// # Errors
///
/// Here and below: those of reading the file, and of rows that are damaged.
pub(crate) fn tree(connection: &Connection, root: Cid) -> rusqlite::Result<Vec<Stored>> {
    let names = NamesOf::new(connection);
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM invocation WHERE (cid = ?1 AND root = ?1) OR (root = ?1 AND root <> cid) ORDER BY cid"
    );
    connection.prepare_cached(sql)?.query_map([codec::cid(root)], |row| stored(row, &names))?.collect()
}

/// An invocation of a tree, and what it stands below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) cid: Cid,
    /// Its group, the invocation around its synchronous caller, or its parent.
    pub(crate) above: Option<Cid>,
    /// Whether it has not ended.
    pub(crate) is_live: bool,
}

/// Who stands below whom in the tree with this root, in accept order. What runs the root again stands where the root does:
/// below nobody of the tree.
pub(crate) fn links(connection: &Connection, root: Cid) -> rusqlite::Result<Vec<Link>> {
    let sql = "SELECT cid,
            coalesce(slot_group, nullif(coalesce(hidden_by, parent),
                (SELECT coalesce(hidden_by, parent) FROM invocation WHERE cid = ?1))),
            state < 3
        FROM invocation WHERE (cid = ?1 AND root = ?1) OR (root = ?1 AND root <> cid) ORDER BY accept";
    let link = |row: &rusqlite::Row<'_>| {
        let above = row.get::<_, Option<ReadCid>>(1)?.map(|above| above.0);
        Ok(Link { cid: row.get::<_, ReadCid>(0)?.0, above, is_live: row.get(2)? })
    };
    connection.prepare_cached(sql)?.query_map([codec::cid(root)], link)?.collect()
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

#[cfg(test)]
mod tests {
    use zato_core::{Invocation, Slot};

    use super::*;
    use crate::engine::sqlite::rows::insert::As;
    use crate::engine::sqlite::test_data::{Store, at, child, completed, ended, invocation, nth};

    /// 1 made 2, which made 4; 3 is a member of the group 2; 5 was made inside 90, a synchronous call of 1 that is not
    /// held; 6 is a root of its own, and 7 is one that 1 made.
    fn a_tree() -> Store {
        let mut store = Store::new();
        let root = invocation(nth(1));
        let group = child(&root, nth(2));
        let mut member = child(&root, nth(3));
        member.slot = Some(Slot { group: nth(2), index: 0 });
        let below = child(&group, nth(4));
        let inside = child(&child(&root, nth(90)), nth(5));
        let mut apart = child(&root, nth(7));
        apart.root = nth(7);
        let all = [root, group, member, below, inside, invocation(nth(6)), apart];
        for (number, invocation) in (1..).zip(all) {
            let hidden_by = (invocation.cid == nth(5)).then(|| nth(1));
            store
                .rows
                .changing()
                .accepted(number, &invocation, 0, As::Waiting, hidden_by)
                .expect("it is accepted");
        }
        store
    }

    fn numbers(stored: &[Stored]) -> Vec<u64> {
        stored.iter().map(Stored::number).collect()
    }

    #[test]
    fn a_tree_is_all_below_its_root() {
        let mut store = a_tree();
        let found = tree(store.rows.connection(), nth(1)).expect("it can be read");
        assert_eq!(numbers(&found), [1, 2, 3, 4, 5]);
        assert_eq!(numbers(&tree(store.rows.connection(), nth(6)).expect("it can be read")), [6]);
        assert_eq!(numbers(&tree(store.rows.connection(), nth(7)).expect("it can be read")), [7]);
        assert!(tree(store.rows.connection(), nth(8)).expect("it can be read").is_empty());

        let end = ended(invocation(nth(1)), completed(), at(1));
        assert!(store.rows.changing().ended(&end).expect("it ends"));
        let found = tree(store.rows.connection(), nth(1)).expect("it can be read");
        assert_eq!(numbers(&found), [1, 2, 3, 4, 5], "what has ended is of the tree too");
    }

    /// A chain's step passes its slot on; what it has passed on does not fill it.
    #[test]
    fn a_place_is_filled_by_the_last_that_has_it() {
        let mut store = Store::new();
        let rows = &mut store.rows;
        let member = |n, index| -> Invocation {
            let mut member = invocation(nth(n));
            member.slot = Some(Slot { group: nth(1), index });
            member
        };
        rows.changing().accepted(1, &invocation(nth(1)), 0, As::Open, None).expect("it is accepted");
        rows.changing().accepted(2, &member(2, 1), 0, As::Waiting, None).expect("it is accepted");
        rows.changing().accepted(3, &member(3, 0), 0, As::Waiting, None).expect("it is accepted");
        assert!(rows.changing().ended(&ended(member(3, 0), completed(), at(1))).expect("it ends"));
        let filled =
            |rows: &crate::engine::sqlite::rows::write_connection::WriteConnection| -> Vec<(u32, Cid, bool)> {
                let members = members(rows.connection(), nth(1)).expect("they can be read");
                members.iter().map(|member| (member.index, member.cid, member.ended.is_some())).collect()
            };
        assert_eq!(filled(rows), [(0, nth(3), true), (1, nth(2), false)]);
        rows.changing().accepted(4, &member(4, 0), 0, As::Waiting, None).expect("it is accepted");
        assert_eq!(filled(rows), [(0, nth(4), false), (1, nth(2), false)]);
        assert!(rows.changing().ended(&ended(member(4, 0), completed(), at(2))).expect("it ends"));
        assert_eq!(filled(rows), [(0, nth(4), true), (1, nth(2), false)]);
    }

    #[test]
    fn a_tree_is_found_by_an_index() {
        let store = a_tree();
        let sql =
            "EXPLAIN QUERY PLAN SELECT cid FROM invocation WHERE cid = ?1 OR (root = ?1 AND root <> cid)";
        let mut statement = store.rows.connection().prepare(sql).expect("SQL");
        let steps = statement.query_map([codec::cid(nth(1))], |row| row.get::<_, String>(3)).expect("a plan");
        let steps: Vec<_> = steps.collect::<Result<_, _>>().expect("its steps");
        assert!(steps.iter().any(|step| step.contains("invocation_root")), "{steps:?}");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{steps:?}");
    }
}
