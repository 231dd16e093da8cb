//! What can be asked of the file: each look-up is one short reading.

use rusqlite::{Connection, OptionalExtension, Row, params};
use zato_core::{Cid, ServiceName};

use super::codec;
use super::columns::{EndedRow, LiveRow, Stored, columns, stored};
use super::names::NamesOf;
use crate::found::{Filter, Stage};

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

/// Whether an invocation is held.
pub(crate) fn exists(connection: &Connection, cid: Cid) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM invocation WHERE cid = ?1)")?
        .query_row([codec::cid(cid)], |row| row.get(0))
}

/// Whether an invocation is held that waits, runs, or has completed: one that an equal call may be given.
pub(crate) fn stands(connection: &Connection, cid: Cid) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM invocation WHERE cid = ?1 AND (state < 3 OR outcome = 0))";
    connection.prepare_cached(sql)?.query_row([codec::cid(cid)], |row| row.get(0))
}

/// What has not ended and was accepted after the number `after`, in accept order, `most` at the most: a page of what a
/// restart reads.
pub(crate) fn live(connection: &Connection, after: u64, most: usize) -> rusqlite::Result<Vec<LiveRow>> {
    let names = NamesOf::new(connection);
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM invocation WHERE state < 3 AND accept > ?1 ORDER BY accept LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, most])?;
    let mut live = Vec::new();
    while let Some(row) = rows.next()? {
        if let Stored::Live(row) = stored(row, &names)? {
            live.push(row);
        }
    }
    Ok(live)
}

/// How many wait, run, and are open groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// How many wait.
    pub(crate) waiting: u64,
    /// How many run, or did when their process died.
    pub(crate) running: u64,
    /// How many are groups whose members have not all ended.
    pub(crate) open: u64,
}

/// How many have not ended; reads an index of those alone.
pub(crate) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    let sql = "SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1),
                      count(*) FILTER (WHERE state = 2) FROM invocation WHERE state < 3";
    connection
        .prepare_cached(sql)?
        .query_row([], |row| Ok(Counts { waiting: row.get(0)?, running: row.get(1)?, open: row.get(2)? }))
}

/// The last accept number of what is held; 0 if nothing is.
pub(crate) fn last_number(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(accept), 0) FROM invocation", [], |row| row.get(0))
}

/// The services that were ever named, and whether each is paused.
pub(crate) fn services(connection: &Connection) -> rusqlite::Result<Vec<(ServiceName, bool)>> {
    let service =
        |row: &Row<'_>| Ok((ServiceName::interned(row.get_ref(0)?.as_str()?), row.get::<_, bool>(1)?));
    connection
        .prepare_cached("SELECT name, paused FROM service ORDER BY id")?
        .query_map([], service)?
        .collect()
}

/// The services that are paused.
pub(crate) fn paused(connection: &Connection) -> rusqlite::Result<Vec<ServiceName>> {
    let services = services(connection)?;
    Ok(services.into_iter().filter(|(_, is_paused)| *is_paused).map(|(name, _)| name).collect())
}

/// What passes the filter, the newest first by accept number. Of a stage that few stand in, or of none, a page costs
/// what it shows; of a service that few are of, all of the stage is read.
pub(crate) fn list(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Stored>> {
    let service = filter.service.as_deref().map(|name| service(connection, name)).transpose()?;
    let before = match filter.before {
        Some(before) => first_not_before(connection, before)?,
        None => i64::MAX,
    };
    let names = NamesOf::new(connection);
    connection
        .prepare_cached(page(filter.stage))?
        .query_map(params![before, service, filter.limit], |row| stored(row, &names))?
        .collect()
}

/// The number of a service; one that no service has, if nothing was ever of it.
fn service(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let sql = "SELECT id FROM service WHERE name = ?1";
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

fn page(stage: Option<Stage>) -> &'static str {
    /// Of these rows alone.
    macro_rules! page {
        ($which:literal) => {
            concat!(
                "SELECT ",
                columns!(),
                " FROM invocation WHERE accept < ?1 AND (?2 IS NULL OR service = ?2) AND ",
                $which,
                " ORDER BY accept DESC LIMIT ?3"
            )
        };
    }
    match stage {
        None => page!("true"),
        Some(Stage::Waiting) => page!("state < 3 AND state = 0"),
        Some(Stage::Running) => page!("state < 3 AND state IN (1, 2)"),
        Some(Stage::Ended) => page!("state >= 3"),
        Some(Stage::Dead) => page!("state = 4 AND again IS NULL"),
    }
}
