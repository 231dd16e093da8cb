//! The file as it is found: its rows, read with SQL of this test's own.

use std::fmt::Write as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// The numbers that the file has for the ways in which an invocation is made.
pub(super) const INSIDE: i64 = 0;
pub(super) const CALL: i64 = 1;
pub(super) const CALLBACK: i64 = 2;
pub(super) const PARALLEL: i64 = 3;
pub(super) const FAN_OUT: i64 = 4;
pub(super) const CHAIN: i64 = 5;
pub(super) const STEP: i64 = 6;

/// The numbers that it has for outcomes, which stand in this order.
pub(super) const OUTCOMES: [&str; 7] =
    ["Completed", "Failed", "TimedOut", "Expired", "Cancelled", "Undecodable", "Lost"];

/// An invocation.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) accept: i64,
    pub(super) cid: String,
    pub(super) state: i64,
    pub(super) service: String,
    pub(super) channel: i64,
    pub(super) caller: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) root: String,
    pub(super) depth: i64,
    pub(super) called_at: i64,
    pub(super) due: Option<i64>,
    pub(super) deadline: Option<i64>,
    pub(super) slot: Option<(String, i64)>,
    pub(super) hidden_by: Option<String>,
    pub(super) attempts: i64,
    pub(super) failed: i64,
    pub(super) losses: i64,
    pub(super) started_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) outcome: Option<i64>,
    pub(super) again: Option<String>,
    pub(super) callbacks: Vec<String>,
    pub(super) on_failure: Vec<String>,
    pub(super) options: Value,
    pub(super) error: Option<String>,
    pub(super) payload: (i64, Vec<u8>),
    /// It as JSON.
    pub(super) request: Value,
    pub(super) response: Option<(i64, Vec<u8>)>,
}

impl Row {
    /// The ID of a request.
    pub(super) fn id(&self) -> Option<String> {
        self.request["id"].as_str().map(str::to_owned)
    }

    /// The dead letter that it runs again.
    pub(super) fn again_of(&self) -> Option<&str> {
        self.options["again_of"].as_str()
    }

    /// Its outcome's name.
    pub(super) fn outcome(&self) -> &'static str {
        let index = self.outcome.and_then(|number| usize::try_from(number).ok());
        index.and_then(|index| OUTCOMES.get(index)).copied().unwrap_or("none")
    }

    pub(super) fn is_completed(&self) -> bool {
        self.outcome == Some(0)
    }

    pub(super) fn is_group(&self) -> bool {
        matches!(self.channel, PARALLEL | FAN_OUT | CHAIN)
    }

    /// How a fault speaks of it.
    pub(super) fn name(&self) -> String {
        let Self { accept, cid, service, .. } = self;
        let id = self.id().map(|id| format!(" `{id}`")).unwrap_or_default();
        format!("{service}{id} ({cid}, number {accept}, {})", self.outcome())
    }
}

/// A UUID in its text form.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A JSON list of names.
fn names(list: Option<String>) -> Vec<String> {
    list.map(|list| serde_json::from_str(&list).unwrap_or_else(|_| vec![list])).unwrap_or_default()
}

/// Opens the file to read it.
pub(super) fn open(file: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// The services that the file says are paused.
pub(super) fn paused(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM service WHERE paused <> 0")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// What the file says of the attempts of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) state: i64,
    pub(super) attempts: i64,
    pub(super) losses: i64,
}

/// The counts of all invocations but groups, which do not run.
pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Vec<(String, Counts)>> {
    let sql = "SELECT cid, state, attempts, losses FROM invocation WHERE channel NOT IN (3, 4, 5)";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let cid: Vec<u8> = row.get("cid")?;
        let counts =
            Counts { state: row.get("state")?, attempts: row.get("attempts")?, losses: row.get("losses")? };
        Ok((text(&cid), counts))
    })?;
    rows.collect()
}

/// All invocations, in the order in which they were accepted.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<Row>> {
    let sql = "SELECT accept, cid, state, target.name AS target, channel, asking.name AS asking, parent, root, depth,
            called_at, due, deadline, slot_group, slot_index, hidden_by, attempts, failed, losses, started_at, ended_at, outcome, again,
            callbacks, on_failure, options, error, payload_kind, payload, response_kind, response
        FROM invocation
        LEFT JOIN service AS target ON target.id = invocation.service
        LEFT JOIN service AS asking ON asking.id = invocation.caller
        ORDER BY accept";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let cid =
            |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<Vec<u8>>>(column)?.map(|cid| text(&cid)));
        let slot: Option<i64> = row.get("slot_index")?;
        let options: Option<String> = row.get("options")?;
        let payload: Vec<u8> = row.get("payload")?;
        let kind: Option<i64> = row.get("response_kind")?;
        Ok(Row {
            accept: row.get("accept")?,
            cid: cid("cid")?.unwrap_or_default(),
            state: row.get("state")?,
            service: row.get::<_, Option<String>>("target")?.unwrap_or_default(),
            channel: row.get("channel")?,
            caller: row.get("asking")?,
            parent: cid("parent")?,
            root: cid("root")?.unwrap_or_default(),
            depth: row.get("depth")?,
            called_at: row.get("called_at")?,
            due: row.get("due")?,
            deadline: row.get("deadline")?,
            slot: cid("slot_group")?.zip(slot),
            hidden_by: cid("hidden_by")?,
            attempts: row.get("attempts")?,
            failed: row.get("failed")?,
            losses: row.get("losses")?,
            started_at: row.get("started_at")?,
            ended_at: row.get("ended_at")?,
            outcome: row.get("outcome")?,
            again: cid("again")?,
            callbacks: names(row.get("callbacks")?),
            on_failure: names(row.get("on_failure")?),
            options: options.and_then(|options| serde_json::from_str(&options).ok()).unwrap_or_default(),
            error: row.get("error")?,
            request: serde_json::from_slice(&payload).unwrap_or_default(),
            payload: (row.get("payload_kind")?, payload),
            response: kind.zip(row.get("response")?),
        })
    })?;
    rows.collect()
}
