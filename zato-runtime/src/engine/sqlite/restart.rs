//! What stands in the file when it is opened: it is held again.

use super::codec::{CancelNote, State as Stage};
use super::columns::{LiveRow, Stands};
use super::disk::Disk;
use super::{lookups, trees};
use crate::engine::contract::StoreFault;
use crate::engine::state::{Left, State};

/// How many rows are read at once.
const PAGE: usize = 1_024;

/// Holds again all that has not ended. The services are announced.
pub(super) fn restore(state: &mut State<Disk>) -> Result<(), StoreFault> {
    state.last_number = state.store.read(lookups::last_number)?;
    for service in state.store.read(lookups::paused)? {
        let number = state.queues.number(&service);
        state.queues.pause(number, true);
    }
    // What ran has its concurrency key, and comes before what waits for that.
    for stage in [Stage::Running, Stage::Waiting] {
        each(state, stage, |state, row| {
            state.restore(left(row));
            Ok(())
        })?;
    }
    each(state, Stage::Open, |state, row| {
        let cid = row.invocation.cid;
        let members = state.store.read(|reader| trees::members(reader, cid))?;
        let members = members.into_iter().map(|member| (member.cid, member.ended)).collect();
        state.restore_group(left(row), members);
        Ok(())
    })
}

/// Reads all that stand so, in accept order.
fn each(
    state: &mut State<Disk>,
    standing: Stage,
    see: impl Fn(&mut State<Disk>, LiveRow) -> Result<(), StoreFault>,
) -> Result<(), StoreFault> {
    let mut after = 0;
    loop {
        let page = state.store.read(|reader| lookups::live(reader, standing, after, PAGE))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.number;
        for row in page {
            see(state, row)?;
        }
    }
}

/// A row as the state takes it.
fn left(row: LiveRow) -> Left {
    let LiveRow { invocation, stands, attempts, progress, cancel, hidden_by, .. } = row;
    let ran = match stands {
        Stands::Running(since) => Some((attempts, since)),
        Stands::Waiting | Stands::Open => None,
    };
    Left { invocation, before: progress, ran, is_cancelled: cancel != CancelNote::No, hidden_by }
}
