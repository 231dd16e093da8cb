//! One change of one row, from the state to the file.

use std::sync::Arc;
use std::time::SystemTime;

use zato_core::{Cid, Invocation, Moment, ServiceName};

use super::insert::{As, Limits};
use super::row_writer::{RowWriter, exists};
use crate::record::{AttemptId, Ended, Key, Progress};

/// A change. Made again after those that came with it, it changes nothing: of a transaction that has failed it need not
/// be known whether it reached the disk.
#[derive(Debug)]
pub(in crate::engine::sqlite) enum Change {
    Accepted {
        number: u64,
        invocation: Arc<Invocation>,
        limits: Limits,
        accepted: As,
        hidden_by: Option<Cid>,
    },
    Started(AttemptId, Moment),
    LastStarted(ServiceName, Moment),
    Draining {
        after: u64,
    },
    Again(Cid, Box<Progress>),
    HasKey(Cid),
    Cancelled(Cid, bool),
    Ended(Arc<Ended>),
    EndedInside(Arc<Ended>, u64),
    RunAgain {
        first: Cid,
        again: Cid,
    },
    Discarded(Cid),
    Paused(ServiceName, bool),
    Key {
        service: ServiceName,
        key: Key,
        cid: Cid,
        at: SystemTime,
    },
}

impl Change {
    /// Makes the change. `is_repeated` where it may have been made already.
    pub(in crate::engine::sqlite) fn make(
        &self,
        rows: &mut RowWriter<'_>,
        is_repeated: bool,
    ) -> rusqlite::Result<()> {
        match self {
            Self::Accepted { number, invocation, limits, accepted, hidden_by } => {
                if is_repeated && exists(rows.connection, invocation.cid)? {
                    return Ok(());
                }
                rows.accepted(*number, invocation, *limits, *accepted, *hidden_by)
            }
            Self::Started(id, at) => rows.started(id.cid, id.number, *at).map(drop),
            Self::LastStarted(service, at) => rows.last_started(service, *at),
            Self::Draining { after } => rows.draining(*after),
            Self::Again(cid, progress) => rows.again(*cid, progress).map(drop),
            Self::HasKey(cid) => rows.has_key(*cid).map(drop),
            Self::Cancelled(cid, with_tree) => rows.cancel(*cid, *with_tree).map(drop),
            Self::Ended(ended) => rows.ended(ended).map(drop),
            Self::EndedInside(ended, number) => {
                if is_repeated && exists(rows.connection, ended.invocation.cid)? {
                    return Ok(());
                }
                rows.inner(*number, ended)
            }
            Self::RunAgain { first, again } => rows.run_again(*first, *again).map(drop),
            Self::Discarded(cid) => rows.discard(*cid).map(drop),
            Self::Paused(service, paused) => rows.pause(service, *paused),
            Self::Key { service, key, cid, at } => rows.note_key(service, key, *cid, *at),
        }
    }
}
