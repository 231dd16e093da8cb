//! The columns of an invocation, and how a row is read.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, Type};
use zato_core::{Cid, Ending, Invocation, Moment, Options, Outcome, Payload, ServiceName, Slot};

use super::codec;
use super::codec::{CancelNote, ReadChannel, ReadCid, ReadKind, ReadOutcome, ReadTime, State};
use super::json::{ReadHeaders, ReadNames, ReadOptions, ReadTried};
use super::service_ids::NamesOf;
use crate::engine::state::Pending;
use crate::record::{Ended, Progress};

/// All columns, in the order in which [`stored`] reads them.
macro_rules! columns {
    () => {
        "accept, cid, state, service, channel, caller, parent, root, depth, called_at, due, deadline, slot_group, \
         slot_index, callbacks, on_failure, options, headers, payload_kind, payload, attempts, behind, failed, next_at, \
         tried, losses, max_losses, cancel, hidden_by, in_lane, begun, draining, started_at, ended_at, outcome, permanent, error, code, \
         response_kind, response, again"
    };
}
pub(in crate::engine::sqlite) use columns;

/// An invocation as it stands in the file.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    /// It has not ended.
    Live(LiveRow),
    /// It has.
    Ended(EndedRow),
}

/// An invocation that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct LiveRow {
    /// Its accept number.
    pub(crate) number: u64,
    /// The invocation.
    pub(crate) invocation: Arc<Invocation>,
    /// Where it stands.
    pub(crate) stands: Stands,
    /// How many attempts have begun; with the one that runs, if one does.
    pub(crate) attempts: u32,
    /// What became of those that were over when it last came to wait again; none where it never did.
    pub(crate) progress: Option<Arc<Progress>>,
    /// How many deaths of its process end it as `Lost`; none where that was not known when it was accepted.
    pub(crate) max_losses: Option<u32>,
    /// Whether it is to stop.
    pub(crate) cancel: CancelNote,
    /// Whether it stands behind another that has its concurrency key.
    pub(crate) is_behind: bool,
    /// Whether its attempt was recorded when its handler was about to begin, and not when it was handed out.
    pub(crate) is_begin_recorded: bool,
    /// Whether it ran when a shutdown began.
    pub(crate) was_draining: bool,
    /// The invocation whose attempt made it, if that did so inside a synchronous call, which is its parent then.
    pub(crate) hidden_by: Option<Cid>,
}

/// A row as the state takes it.
impl From<LiveRow> for Pending {
    fn from(row: LiveRow) -> Self {
        let LiveRow { number, invocation, stands, attempts, progress, max_losses, .. } = row;
        let LiveRow { cancel, is_behind, was_draining, hidden_by, .. } = row;
        let ran = match stands {
            Stands::Running(since) => Some((attempts, since.into())),
            Stands::Waiting | Stands::Open => None,
        };
        let is_cancelled = cancel != CancelNote::No;
        let before = progress;
        Self { number, invocation, before, ran, was_draining, max_losses, is_cancelled, is_behind, hidden_by }
    }
}

/// Where an invocation stands that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    /// It waits.
    Waiting,
    /// Its last attempt began then and has not been settled: it runs, or its process is dead.
    Running(Moment),
    /// It is a group, and not all of its members have ended.
    Open,
}

/// An invocation that has ended.
#[derive(Debug, Clone)]
pub(crate) struct EndedRow {
    /// Its accept number.
    pub(crate) number: u64,
    /// How it ended.
    pub(crate) ended: Arc<Ended>,
    /// The invocation that runs it again.
    pub(crate) again: Option<Cid>,
    /// The invocation whose attempt made it, if that did so inside a synchronous call, which is its parent then.
    pub(crate) hidden_by: Option<Cid>,
}

impl Stored {
    /// The invocation.
    pub(crate) fn invocation(&self) -> &Arc<Invocation> {
        match self {
            Self::Live(row) => &row.invocation,
            Self::Ended(row) => &row.ended.invocation,
        }
    }

    /// Its accept number.
    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::Live(row) => row.number,
            Self::Ended(row) => row.number,
        }
    }
}

/// Reads columns one after the other.
struct Columns<'a, 'r> {
    row: &'a Row<'r>,
    next: usize,
}

impl Columns<'_, '_> {
    fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let column = self.next;
        self.next += 1;
        self.row.get(column)
    }

    /// The column that was read last holds what cannot be.
    fn fault(&self, what: &'static str) -> rusqlite::Error {
        let error = FromSqlError::other(Fault(what));
        rusqlite::Error::FromSqlConversionFailure(self.next - 1, Type::Null, Box::new(error))
    }
}

/// What is wrong with columns that belong together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(&'static str);

/// Reads a row that was selected as [`columns!`].
pub(in crate::engine::sqlite) fn stored(row: &Row<'_>, names: &NamesOf<'_>) -> rusqlite::Result<Stored> {
    let columns = &mut Columns { row, next: 0 };
    let number = columns.next()?;
    let cid = columns.next::<ReadCid>()?.0;
    let state = columns.next()?;
    let invocation = Arc::new(invocation(columns, cid, names)?);
    let attempts = columns.next()?;
    let (progress, max_losses) = progress(columns)?;
    let progress = progress.map(Arc::new);
    let cancel = columns.next()?;
    let hidden_by = columns.next::<Option<ReadCid>>()?.map(|read| read.0);
    let is_behind = columns.next::<Option<bool>>()?.unwrap_or_default();
    let is_begin_recorded = columns.next::<Option<bool>>()?.unwrap_or_default();
    let was_draining = columns.next::<Option<bool>>()?.unwrap_or_default();
    let started_at = columns.next::<Option<ReadTime>>()?.map(|read| read.0.into());
    let stands = match state {
        State::Waiting => Stands::Waiting,
        State::Running => {
            Stands::Running(started_at.ok_or_else(|| columns.fault("it runs and has not started"))?)
        }
        State::Open => Stands::Open,
        State::Ended | State::Dead => {
            let ended_at = columns.next::<ReadTime>()?.0.into();
            let outcome = outcome(columns)?;
            let again = columns.next::<Option<ReadCid>>()?.map(|read| read.0);
            let ended = Ended { invocation, outcome, attempts, started_at, ended_at, before: progress };
            return Ok(Stored::Ended(EndedRow { number, ended: Arc::new(ended), again, hidden_by }));
        }
    };
    Ok(Stored::Live(LiveRow {
        number,
        invocation,
        stands,
        attempts,
        progress,
        max_losses,
        cancel,
        is_behind,
        is_begin_recorded,
        was_draining,
        hidden_by,
    }))
}

fn invocation(columns: &mut Columns<'_, '_>, cid: Cid, names: &NamesOf<'_>) -> rusqlite::Result<Invocation> {
    let name = |number: i64| -> rusqlite::Result<ServiceName> { names.get(number) };
    let service = name(columns.next()?)?;
    let channel = columns.next::<ReadChannel>()?.0;
    let mut invocation = Invocation::root(cid, service, Payload::empty(), channel);
    invocation.caller = columns.next::<Option<i64>>()?.map(name).transpose()?;
    invocation.parent = columns.next::<Option<ReadCid>>()?.map(|read| read.0);
    invocation.root = columns.next::<ReadCid>()?.0;
    invocation.depth = columns.next()?;
    invocation.called_at = columns.next::<ReadTime>()?.0.into();
    invocation.due = columns.next::<Option<ReadTime>>()?.map(|read| read.0.into());
    invocation.deadline = columns.next::<Option<ReadTime>>()?.map(|read| read.0.into());
    let group = columns.next::<Option<ReadCid>>()?;
    let index = columns.next::<Option<u32>>()?;
    invocation.slot = match (group, index) {
        (None, None) => None,
        (Some(group), Some(index)) => Some(Slot { group: group.0, index }),
        _ => return Err(columns.fault("half a slot")),
    };
    invocation.callbacks = columns.next::<Option<ReadNames>>()?.unwrap_or_default().0;
    invocation.on_failure = columns.next::<Option<ReadNames>>()?.unwrap_or_default().0;
    names.of_today(invocation.callbacks.iter_mut().chain(&mut invocation.on_failure))?;
    let mut options: Option<Options> = columns.next::<Option<ReadOptions>>()?.map(|read| read.0);
    names.of_today(options.iter_mut().flat_map(|options| &mut options.steps))?;
    invocation.options = options.map(Box::new);
    invocation.labels = columns.next::<Option<ReadHeaders>>()?.unwrap_or_default().labels;
    let kind = columns.next()?;
    invocation.payload = payload(columns, kind)?;
    Ok(invocation)
}

fn payload(columns: &mut Columns<'_, '_>, kind: ReadKind) -> rusqlite::Result<Payload> {
    let bytes = columns.next()?;
    codec::payload(kind, bytes).ok_or_else(|| columns.fault("a payload that is not of its kind"))
}

/// What became of earlier attempts, and how many deaths of its process end the invocation.
fn progress(columns: &mut Columns<'_, '_>) -> rusqlite::Result<(Option<Progress>, Option<u32>)> {
    let behind: Option<u32> = columns.next()?;
    let failed = columns.next()?;
    let next_at = columns.next::<Option<ReadTime>>()?.map(|read| read.0);
    let tried = columns.next::<Option<ReadTried>>()?.unwrap_or_default().0;
    let losses = columns.next()?;
    let max_losses = columns.next()?;
    let progress = behind.map(|attempts| Progress { attempts, failed, tried, next_at, losses, max_losses });
    Ok((progress, max_losses))
}

fn outcome(columns: &mut Columns<'_, '_>) -> rusqlite::Result<Outcome> {
    let outcome = columns.next()?;
    let permanent: Option<bool> = columns.next()?;
    let error: Option<Box<str>> = columns.next()?;
    let code = columns.next()?;
    let kind: Option<ReadKind> = columns.next()?;
    match (outcome, kind) {
        (ReadOutcome::Completed, Some(kind)) => Ok(Outcome::Completed(payload(columns, kind)?)),
        (ReadOutcome::Completed, None) => Err(columns.fault("it completed without a response")),
        (ReadOutcome::Otherwise(of), _) => {
            columns.next += 1;
            let ending = Ending::new(error.unwrap_or_default(), permanent.unwrap_or_default());
            Ok(of(ending.with_code(code)))
        }
    }
}
