//! Queries for invocations that wait on disk only: which starts next, which has a key next, which expires.
//!
//! Each look-up goes by an index and costs what it shows, however much waits.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Row, params};
use zato_core::ServiceName;

use super::queries::{Known, live_rows, service, services};
use crate::engine::sqlite::rows::codec;
use crate::engine::sqlite::rows::codec::{ReadCid, ReadTime};
use crate::engine::sqlite::rows::columns::{LiveRow, columns};
use crate::engine::state::Member;

/// What waits for a service and was accepted after the number `after`: what may start by `now`, in the order in which it
/// starts, the first `most`; and, if that is all, when the next may start.
///
/// # Errors
///
/// Here and below: those of reading the file, and of rows that are damaged.
pub(in crate::engine::sqlite) fn line(
    connection: &Connection,
    name: &ServiceName,
    now: SystemTime,
    after: u64,
    most: usize,
) -> rusqlite::Result<(Vec<LiveRow>, Option<SystemTime>)> {
    let service = service(connection, name.as_str())?;
    let next = "SELECT rank FROM invocation INDEXED BY invocation_line
        WHERE service = ?1 AND state = 0 AND in_lane IS NULL AND rank > ?2 ORDER BY rank LIMIT 1";
    // A rank at a time: what is due later stands between those of one rank and those of the next. What came is due, also
    // where the clock has been set back since.
    let is_due = concat!(
        "SELECT ",
        columns!(),
        " FROM invocation INDEXED BY invocation_line
        WHERE service = ?1 AND state = 0 AND in_lane IS NULL AND rank = ?2 AND accept > ?5
            AND (line_at <= ?3 OR (due IS NULL AND next_at IS NULL))
        ORDER BY line_at, accept LIMIT ?4"
    );
    let is_due_later = "SELECT line_at FROM invocation INDEXED BY invocation_line
        WHERE service = ?1 AND state = 0 AND in_lane IS NULL AND rank = ?2 AND accept > ?4 AND line_at > ?3
            AND (due IS NOT NULL OR next_at IS NOT NULL)
        ORDER BY line_at LIMIT 1";
    let now = codec::time(now);
    let (mut line, mut rank, mut next_due) = (Vec::new(), i64::MIN, None);
    while line.len() < most {
        let found = connection.prepare_cached(next)?.query_row(params![service, rank], |row| row.get(0));
        let Some(found) = found.optional()? else { break };
        rank = found;
        let params = params![service, rank, now, most - line.len(), after];
        line.append(&mut live_rows(connection, is_due, params)?);
        let params = params![service, rank, now, after];
        let due = connection.prepare_cached(is_due_later)?.query_row(params, |row| row.get(0));
        let due = due.optional()?.map(|due: ReadTime| due.0);
        next_due = next_due.into_iter().chain(due).min();
    }
    Ok((line, next_due))
}

/// What waits in the lane of a key behind another and was accepted after the number `after`, in accept order: the first
/// `most`.
pub(in crate::engine::sqlite) fn lane(
    connection: &Connection,
    name: &ServiceName,
    key: &str,
    after: u64,
    most: usize,
) -> rusqlite::Result<Vec<LiveRow>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM invocation INDEXED BY invocation_lane
        WHERE service = ?1 AND lane = ?2 AND accept > ?3 AND state < 3 AND state = 0 AND in_lane = 1
        ORDER BY accept LIMIT ?4"
    );
    live_rows(connection, sql, params![service(connection, name.as_str())?, key, after, most])
}

/// All that stands in the lane of a key, likewise.
pub(in crate::engine::sqlite) fn lane_members(
    connection: &Connection,
    name: &ServiceName,
    key: &str,
    after: u64,
    most: usize,
) -> rusqlite::Result<Vec<Member>> {
    let sql = "SELECT accept, cid, in_lane IS NULL FROM invocation INDEXED BY invocation_lane
        WHERE service = ?1 AND lane = ?2 AND accept > ?3 AND state < 3 ORDER BY accept LIMIT ?4";
    let member = |row: &Row<'_>| {
        Ok(Member { number: row.get(0)?, cid: row.get::<_, ReadCid>(1)?.0, has_key: row.get(2)? })
    };
    let service = service(connection, name.as_str())?;
    connection.prepare_cached(sql)?.query_map(params![service, key, after, most], member)?.collect()
}

/// The lanes of which nobody has the key: the process died while the one that had it had ended and lingered.
pub(in crate::engine::sqlite) fn keyless_lanes(
    connection: &Connection,
    after: u64,
) -> rusqlite::Result<Vec<(ServiceName, Box<str>)>> {
    let next = "SELECT lane FROM invocation INDEXED BY invocation_lane
        WHERE service = ?1 AND lane > ?2 AND lane IS NOT NULL AND state < 3 ORDER BY lane LIMIT 1";
    let mut keyless_lanes = Vec::new();
    for Known { name, .. } in services(connection)? {
        let number = service(connection, name.as_str())?;
        let mut lane = String::new();
        // The key of a lane is not empty.
        while let Some(found) = connection
            .prepare_cached(next)?
            .query_row(params![number, lane], |row| row.get::<_, String>(0))
            .optional()?
        {
            lane = found;
            let oldest = lane_members(connection, &name, &lane, after, FEW)?;
            if !oldest.is_empty() && !oldest.iter().any(|member| member.has_key) {
                keyless_lanes.push((name, lane.as_str().into()));
            }
        }
    }
    Ok(keyless_lanes)
}

/// So many stand before the one that has a key at the most: it is among the oldest.
const FEW: usize = 64;

/// One that waits, and when it is to be ended.
pub(in crate::engine::sqlite) type Timed = (SystemTime, LiveRow);

/// What waits and is to be ended by `until`, in the order of that, after that time and accept number: the first `most`,
/// with the time of the last; and, if that is all, when the next is to be ended. What was accepted up to the number
/// `not_ours` is left alone.
pub(in crate::engine::sqlite) fn ends(
    connection: &Connection,
    until: SystemTime,
    after: Option<(SystemTime, u64)>,
    not_ours: u64,
    most: usize,
) -> rusqlite::Result<(Vec<Timed>, Option<SystemTime>)> {
    let numbers = "SELECT ends_at, accept FROM invocation INDEXED BY invocation_ends
        WHERE state = 0 AND ends_at IS NOT NULL AND ends_at <= ?1 AND (ends_at, accept) > (?2, ?3) AND accept > ?4
        ORDER BY ends_at, accept LIMIT ?5";
    let row = concat!("SELECT ", columns!(), " FROM invocation WHERE accept = ?1 AND state = 0");
    let (after, number) = after.map_or((i64::MIN, 0), |(at, number)| (codec::time(at), number));
    let mut ends = Vec::new();
    let mut statement = connection.prepare_cached(numbers)?;
    let mut rows = statement.query(params![codec::time(until), after, number, not_ours, most])?;
    while let Some(found) = rows.next()? {
        let (at, number): (ReadTime, u64) = (found.get(0)?, found.get(1)?);
        ends.extend(live_rows(connection, row, params![number])?.into_iter().map(|row| (at.0, row)));
    }
    let next = "SELECT ends_at FROM invocation INDEXED BY invocation_ends
        WHERE state = 0 AND ends_at IS NOT NULL AND ends_at > ?1 AND accept > ?2 ORDER BY ends_at LIMIT 1";
    let next =
        connection.prepare_cached(next)?.query_row(params![codec::time(until), not_ours], |row| row.get(0));
    Ok((ends, next.optional()?.map(|next: ReadTime| next.0)))
}
