//! Queries for single invocations and lists. Each is one short read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;
use zato_core::{Channel, Cid, ServiceName};

use crate::engine::sqlite::rows::codec;
use crate::engine::sqlite::rows::codec::{ReadCid, ReadDigest, ReadTime, State};
use crate::engine::sqlite::rows::columns::{EndedRow, LiveRow, Stored, columns, stored};
use crate::engine::sqlite::rows::service_ids::NamesOf;
use crate::record::lookup::{Filter, StatusFilter};
use crate::record::{Algorithm, described, digest, is_described};

/// An invocation as it stands; `None` if it is not held.
///
/// # Errors
///
/// Here and below: those of reading the file, and of rows that are damaged.
pub(crate) fn find(connection: &Connection, cid: Cid) -> rusqlite::Result<Option<Stored>> {
    let names = NamesOf::new(connection);
    connection
        .prepare_cached(concat!("SELECT ", columns!(), " FROM invocation WHERE cid = ?1"))?
        .query_row([codec::cid(cid)], |row| stored(row, &names))
        .optional()
}

/// How an invocation ended; `None` if it is not held or has not ended.
pub(crate) fn ended(connection: &Connection, cid: Cid) -> rusqlite::Result<Option<EndedRow>> {
    let is_ended = |stored| match stored {
        Stored::Ended(ended) => Some(ended),
        Stored::Live(_) => None,
    };
    Ok(find(connection, cid)?.and_then(is_ended))
}

/// What has not ended, stands in this state and was accepted after the number `after`, in accept order, `most` at the
/// most: a page of what a restart reads.
pub(in crate::engine::sqlite) fn live(
    connection: &Connection,
    state: State,
    after: u64,
    most: usize,
) -> rusqlite::Result<Vec<LiveRow>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM invocation INDEXED BY invocation_live
        WHERE state < 3 AND state = ?1 AND accept > ?2 ORDER BY accept LIMIT ?3"
    );
    live_rows(connection, sql, params![state.number(), after, most])
}

/// Those of the rows that a statement selects that have not ended.
pub(in crate::engine::sqlite) fn live_rows(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<LiveRow>> {
    let names = NamesOf::new(connection);
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut live = Vec::new();
    while let Some(row) = rows.next()? {
        if let Stored::Live(row) = stored(row, &names)? {
            live.push(row);
        }
    }
    Ok(live)
}

/// How many wait, or ran when their process died, and how many bytes of payload they hold. Reads all of them, and none
/// that has ended: that is the index, which is of what has not.
pub(in crate::engine::sqlite) fn count(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let sql = "SELECT count(*), coalesce(sum(length(payload)), 0) FROM invocation INDEXED BY invocation_live
        WHERE state < 3 AND state IN (0, 1)";
    connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// What the attempts of an invocation have called, in order, each with what makes it equal to another call: not what
/// carries its outcome, nor what it called synchronously, nor what runs one of them again, nor the members of groups,
/// which are one call. Nothing was kept of what made them equal, but for the members of groups: a service may have been
/// renamed since.
pub(crate) fn called(connection: &Connection, parent: Cid) -> rusqlite::Result<Vec<(u128, Cid)>> {
    let names = NamesOf::new(connection);
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM invocation WHERE (parent = ?1 OR hidden_by = ?1) AND slot_group IS NULL AND channel NOT IN (0, 2)
         ORDER BY accept"
    );
    let invocation = |row: &Row<'_>| Ok(stored(row, &names)?.invocation().clone());
    let mut statement = connection.prepare_cached(sql)?;
    let mut called = Vec::new();
    for invocation in statement.query_map([codec::cid(parent)], invocation)? {
        let mut invocation = invocation?;
        let is_group = matches!(invocation.channel, Channel::Parallel | Channel::FanOut);
        if is_group && (names.is_any_renamed()? || !is_described(&invocation)) {
            let members = members(connection, invocation.cid, &names)?;
            Arc::make_mut(&mut invocation).payload =
                described(members.len(), Algorithm::Named.joined(members.into_iter()));
        }
        if invocation.again_of().is_none() {
            called.push((digest(&invocation), invocation.cid));
        }
    }
    Ok(called)
}

/// What makes each member of a group equal to another call, in their order.
fn members(connection: &Connection, group: Cid, names: &NamesOf<'_>) -> rusqlite::Result<Vec<u128>> {
    let sql =
        concat!("SELECT ", columns!(), " FROM invocation WHERE slot_group = ?1 ORDER BY slot_index, accept");
    let member = |row: &Row<'_>| Ok(digest(stored(row, names)?.invocation()));
    connection.prepare_cached(sql)?.query_map([codec::cid(group)], member)?.collect()
}

/// The last accept number of what is held; 0 if nothing is.
pub(crate) fn last_number(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(accept), 0) FROM invocation", [], |row| row.get(0))
}

/// What an idempotency key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct First {
    /// The first call under the key.
    pub(crate) cid: Cid,
    /// What must be the same under the same key.
    pub(crate) digest: u128,
    /// The version of the digest.
    pub(crate) version: u32,
}

/// The first call under a key of this name that was noted after `after`, or has not ended.
pub(crate) fn key(
    connection: &Connection,
    service: &ServiceName,
    name: &str,
    after: SystemTime,
) -> rusqlite::Result<Option<First>> {
    let sql = "SELECT cid, digest, version FROM idempotency AS key
        WHERE service = (SELECT coalesce(now_called, id) FROM service WHERE name = ?1) AND name = ?2
            AND (at > ?3 OR EXISTS (SELECT 1 FROM invocation AS first WHERE first.cid = key.cid AND state < 3))";
    connection
        .prepare_cached(sql)?
        .query_row(params![service.as_str(), name, codec::time(after)], |row| {
            let (cid, digest) = (row.get::<_, ReadCid>(0)?.0, row.get::<_, ReadDigest>(1)?.0);
            Ok(First { cid, digest, version: row.get(2)? })
        })
        .optional()
}

/// A service as the file knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: ServiceName,
    pub(crate) is_paused: bool,
    /// The priority and the limit of losses of its invocations, as a process said that hosts it; none where none has.
    pub(crate) said: Option<(i8, u32)>,
}

/// The services that were ever named, each by its name of today.
pub(crate) fn services(connection: &Connection) -> rusqlite::Result<Vec<Known>> {
    let service = |row: &Row<'_>| {
        let said = row.get::<_, Option<i8>>(2)?.zip(row.get(3)?);
        Ok(Known { name: ServiceName::interned(row.get_ref(0)?.as_str()?), is_paused: row.get(1)?, said })
    };
    let sql = "SELECT name, paused, priority, max_losses FROM service WHERE now_called IS NULL ORDER BY id";
    connection.prepare_cached(sql)?.query_map([], service)?.collect()
}

/// The names that services ever had, each with the name of today.
pub(in crate::engine::sqlite) fn names(
    connection: &Connection,
) -> rusqlite::Result<HashMap<ServiceName, ServiceName>> {
    let sql = "SELECT s.name, coalesce(now.name, s.name) FROM service AS s LEFT JOIN service AS now ON now.id = s.now_called";
    let names = |row: &Row<'_>| {
        let [name, now] = [row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?];
        Ok((ServiceName::interned(name), ServiceName::interned(now)))
    };
    connection.prepare_cached(sql)?.query_map([], names)?.collect()
}

/// When each service last started an invocation, of those that did so while they had a rate.
pub(crate) fn last_starts(connection: &Connection) -> rusqlite::Result<Vec<(ServiceName, SystemTime)>> {
    let last_start =
        |row: &Row<'_>| Ok((ServiceName::interned(row.get_ref(0)?.as_str()?), row.get::<_, ReadTime>(1)?.0));
    let sql = "SELECT name, last_started FROM service
        WHERE now_called IS NULL AND last_started IS NOT NULL ORDER BY id";
    connection.prepare_cached(sql)?.query_map([], last_start)?.collect()
}

/// The services that are paused.
pub(crate) fn paused(connection: &Connection) -> rusqlite::Result<Vec<ServiceName>> {
    let services = services(connection)?;
    Ok(services.into_iter().filter(|service| service.is_paused).map(|service| service.name).collect())
}

/// What passes the filter, the newest first by accept number. Of a stage that few stand in, or of none, a page costs
/// what it shows; of a service that few are of, all of the stage is read.
pub(crate) fn list(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Stored>> {
    let service = filter.service.as_deref().map(|name| service(connection, name)).transpose()?;
    let before = match filter.before {
        Some(before) => first_not_before(connection, before)?,
        None => i64::MAX,
    };
    let formerly = json!(filter.formerly).to_string();
    // More than the file can count is all of it.
    let most = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let names = NamesOf::new(connection);
    connection
        .prepare_cached(page(filter.stage))?
        .query_map(params![before, service, most, formerly], |row| stored(row, &names))?
        .collect()
}

/// The number of a service; one that no service has, if nothing was ever of it.
pub(in crate::engine::sqlite) fn service(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(now_called, id) FROM service WHERE name = ?1";
    let number = connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?;
    Ok(number.unwrap_or(-1))
}

/// The accept number below which everything was called before `cid`: its own, or, if it is held no longer, that after
/// the one before it by CID.
fn first_not_before(connection: &Connection, before: Cid) -> rusqlite::Result<i64> {
    let sql = "SELECT accept + (cid < ?1) FROM invocation WHERE cid <= ?1 ORDER BY cid DESC LIMIT 1";
    let number = connection.prepare_cached(sql)?.query_row([codec::cid(before)], |row| row.get(0));
    Ok(number.optional()?.unwrap_or_default())
}

fn page(stage: Option<StatusFilter>) -> &'static str {
    /// Of these rows alone.
    macro_rules! page {
        ($which:literal) => {
            concat!(
                "SELECT ",
                columns!(),
                " FROM invocation WHERE accept < ?1 AND (?2 IS NULL OR service = ?2
                    OR service IN (SELECT id FROM service WHERE now_called = ?2)
                    OR service IN (SELECT id FROM service WHERE coalesce(now_called, id) IN (
                        SELECT id FROM service WHERE now_called IS NULL
                            AND name IN (SELECT value FROM json_each(?4))))) AND ",
                $which,
                " ORDER BY accept DESC LIMIT ?3"
            )
        };
    }
    match stage {
        None => page!("true"),
        Some(StatusFilter::Waiting) => page!("state < 3 AND state = 0"),
        Some(StatusFilter::Running) => page!("state < 3 AND state IN (1, 2)"),
        Some(StatusFilter::Ended) => page!("state >= 3"),
        Some(StatusFilter::Dead) => page!("state = 4 AND again IS NULL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite::rows::columns::Stands;
    use crate::engine::sqlite::rows::insert::As;
    use crate::engine::sqlite::rows::row_writer::exists;
    use crate::engine::sqlite::rows::write_connection::WriteConnection;
    use crate::engine::sqlite::test_data::{Store, at, child, completed, ended, failed, invocation, nth};

    /// 1 waits, 2 runs, 3 is an open group, 4 has completed, 5 and 6 are dead letters and 6 was run again, 7 is of
    /// another service.
    fn one_of_each() -> Store {
        let mut store = Store::new();
        let rows = &mut store.rows;
        rows.changing().accepted(1, &invocation(nth(1)), 0, As::Waiting, None).expect("it is accepted");
        rows.changing()
            .accepted(2, &invocation(nth(2)), 0, As::Started(at(2).into()), None)
            .expect("it is accepted");
        rows.changing().accepted(3, &invocation(nth(3)), 0, As::Open, None).expect("it is accepted");
        rows.changing().inner(4, &ended(invocation(nth(4)), completed(), at(4))).expect("it is recorded");
        rows.changing().inner(5, &ended(invocation(nth(5)), failed(), at(5))).expect("it is recorded");
        rows.changing().inner(6, &ended(invocation(nth(6)), failed(), at(6))).expect("it is recorded");
        assert!(rows.changing().run_again(nth(6), nth(1)).expect("it is a dead letter"));
        rows.changing()
            .accepted(7, &child(&invocation(nth(2)), nth(7)), 0, As::Waiting, None)
            .expect("it is accepted");
        store
    }

    fn page(rows: &WriteConnection, filter: &Filter) -> Vec<u64> {
        list(rows.connection(), filter).expect("it can be read").iter().map(Stored::number).collect()
    }

    #[test]
    fn a_list_is_the_newest_first_and_goes_on_page_by_page() {
        let store = one_of_each();
        let rows = &store.rows;
        assert_eq!(page(rows, &Filter::new()), [7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(page(rows, &Filter::new().limit(usize::MAX).before(nth(3))), [2, 1]);
        assert_eq!(page(rows, &Filter::new().limit(2)), [7, 6]);
        assert_eq!(page(rows, &Filter::new().limit(2).before(nth(6))), [5, 4]);
        assert!(page(rows, &Filter::new().before(nth(1))).is_empty());
        let stages = [StatusFilter::Waiting, StatusFilter::Running, StatusFilter::Ended, StatusFilter::Dead];
        let of_stage = stages.map(|stage| page(rows, &Filter::new().stage(stage)));
        assert_eq!(of_stage, [vec![7, 1], vec![3, 2], vec![6, 5, 4], vec![5]]);
        assert_eq!(page(rows, &Filter::new().service("orders.charge")), [7]);
        assert_eq!(page(rows, &Filter::new().service("orders.price").stage(StatusFilter::Waiting)), [1]);
        assert!(page(rows, &Filter::new().service("no.such")).is_empty());
    }

    /// The last of a page may have been swept before the next is asked for.
    #[test]
    fn a_list_goes_on_after_what_is_held_no_longer() {
        let mut store = one_of_each();
        assert!(store.rows.changing().discard(nth(5)).expect("it is a dead letter"));
        assert_eq!(page(&store.rows, &Filter::new().before(nth(5))), [4, 3, 2, 1]);
        assert_eq!(page(&store.rows, &Filter::new().before(nth(100))), [7, 6, 4, 3, 2, 1]);
        assert!(page(&store.rows, &Filter::new().before(nth(0))).is_empty());
    }

    #[test]
    fn a_restart_reads_what_has_not_ended_in_accept_order() {
        let store = one_of_each();
        let connection = store.rows.connection();
        let stands = |state, after, most| -> Vec<_> {
            let live = live(connection, state, after, most).expect("it can be read");
            live.iter().map(|row| (row.number, row.stands)).collect()
        };
        assert_eq!(stands(State::Waiting, 0, 10), [(1, Stands::Waiting), (7, Stands::Waiting)]);
        assert_eq!(stands(State::Waiting, 0, 1), [(1, Stands::Waiting)]);
        assert_eq!(stands(State::Waiting, 1, 10), [(7, Stands::Waiting)]);
        assert_eq!(stands(State::Running, 0, 10), [(2, Stands::Running(at(2).into()))]);
        assert_eq!(stands(State::Open, 0, 10), [(3, Stands::Open)]);
        assert_eq!(last_number(connection).expect("it can be asked"), 7);
    }

    #[test]
    fn what_is_held_is_found() {
        let store = one_of_each();
        let connection = store.rows.connection();
        let asked = |ask: fn(&Connection, Cid) -> rusqlite::Result<bool>| -> Vec<u64> {
            (1..=8).filter(|n| ask(connection, nth(*n)).expect("it can be asked")).collect()
        };
        assert_eq!(asked(exists), [1, 2, 3, 4, 5, 6, 7]);
        let is_ended: fn(&Connection, Cid) -> _ = |connection, cid| Ok(ended_of(connection, cid)?.is_some());
        assert_eq!(asked(is_ended), [4, 5, 6]);
        assert!(find(connection, nth(8)).expect("it can be asked").is_none());
    }

    use super::ended as ended_of;

    #[test]
    fn nothing_held_is_nothing_found() {
        let store = Store::new();
        assert_eq!(last_number(store.rows.connection()).expect("it can be asked"), 0);
        assert!(page(&store.rows, &Filter::new()).is_empty());
    }

    /// No look-up that a restart or a call makes goes through the whole table.
    #[test]
    fn look_ups_go_by_an_index() {
        let store = one_of_each();
        let plan = |sql: &str| -> String {
            let mut statement =
                store.rows.connection().prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("SQL");
            let count = statement.parameter_count();
            let params = rusqlite::params_from_iter(vec![1; count]);
            let steps = statement.query_map(params, |row| row.get::<_, String>(3)).expect("a plan");
            steps.collect::<Result<Vec<_>, _>>().expect("its steps").join("; ")
        };
        let live = plan(
            "SELECT cid FROM invocation INDEXED BY invocation_live
                WHERE state < 3 AND state = ?1 AND accept > ?2 ORDER BY accept LIMIT ?3",
        );
        assert_eq!(live, "SEARCH invocation USING INDEX invocation_live (state=? AND accept>?)");
        let change = plan("UPDATE invocation SET state = 1 WHERE cid = ?1 AND state < 3");
        assert_eq!(change, "SEARCH invocation USING INDEX sqlite_autoindex_invocation_1 (cid=?)");
        for (stage, index) in [
            (StatusFilter::Waiting, "INDEX invocation_live"),
            (StatusFilter::Running, "INDEX invocation_live"),
            (StatusFilter::Dead, "INDEX invocation_dead"),
            (StatusFilter::Ended, "INTEGER PRIMARY KEY"),
        ] {
            let page = plan(super::page(Some(stage)));
            // What runs are few, in two states.
            let is_sorted = stage != StatusFilter::Running && page.contains("TEMP B-TREE");
            assert!(page.contains(index) && !is_sorted, "{stage:?}: {page}");
        }
    }
}
