//! Restores the state from the file when it is opened.

use super::file::begun::Begun;
use super::read::queries;
use super::read::queries::Known;
use super::read::tree_queries;
use super::rows::codec::State as Stage;
use super::rows::columns::LiveRow;
use super::store::SqliteStore;
use crate::engine::contract::StoreFault;
use crate::engine::state::{Pending, State, Store as _};
use crate::record::AttemptId;

/// How many rows are read at once.
const PAGE: usize = 1_024;

/// Holds again what ran, and the groups that are open. What waits is read when its turn comes near, or its time. The
/// services are announced.
pub(super) fn restore(
    state: &mut State<SqliteStore>,
    begun: &Begun,
    leaves_alone: bool,
) -> Result<(), StoreFault> {
    state.last_number = state.store.read(queries::last_number)?;
    let services = state.store.read(queries::services)?;
    for Known { name, is_paused, said } in &services {
        let number = state.queues.number(name);
        if let Some((priority, max_losses)) = said {
            state.queues.is_known(number, *priority, *max_losses);
        }
        if *is_paused {
            state.queues.pause(number, true);
        }
    }
    // One that seems to lie ahead, because the clock was set, counts as one of this moment.
    let now = state.clock.system_time();
    for (name, at) in state.store.read(queries::last_starts)? {
        let number = state.queues.number(&name);
        state.queues.last_started(number, now.duration_since(at).unwrap_or_default());
    }
    if !leaves_alone {
        restore_what_waits(state, begun, services)?;
    }
    // Also of what is left alone one may be cancelled, and fill its place.
    each(state, Stage::Open, |state, row| {
        let cid = row.invocation.cid;
        let members = state.store.read(|reader| tree_queries::members(reader, cid))?;
        let members = members.into_iter().map(|member| (member.cid, member.ended)).collect();
        state.restore_group(Pending::from(row), members);
        Ok(())
    })
}

fn restore_what_waits(
    state: &mut State<SqliteStore>,
    begun: &Begun,
    services: Vec<Known>,
) -> Result<(), StoreFault> {
    // What ran has its concurrency key, and comes before what waits for that.
    each(state, Stage::Running, |state, row| {
        let attempt = AttemptId { cid: row.invocation.cid, number: row.attempts };
        let has_begun = !row.is_begin_recorded || begun.has(attempt);
        let mut left = Pending::from(row);
        if !has_begun {
            // The process died between the record and the handler: it waits as it did before.
            left.ran = None;
            state.store.again(attempt.cid, &left.before.as_deref().cloned().unwrap_or_default());
        }
        state.restore(left);
        Ok(())
    })?;
    // Where nothing waits, a call may start without a look into the file.
    if !state.store.read(|reader| queries::live(reader, Stage::Waiting, 0, 1))?.is_empty() {
        state.queues.is_all_beyond(services.into_iter().map(|service| service.name));
    }
    // A process that died may have left lanes whose key nobody has.
    state.has_mended = false;
    // What has become due until now stays so, and what is to be ended by now is.
    state.due_until = state.clock.system_time();
    state.expiry_cursor.note(state.due_until);
    Ok(())
}

/// Reads all that stand so, in accept order.
fn each(
    state: &mut State<SqliteStore>,
    standing: Stage,
    see: impl Fn(&mut State<SqliteStore>, LiveRow) -> Result<(), StoreFault>,
) -> Result<(), StoreFault> {
    let mut after = 0;
    loop {
        let page = state.store.read(|reader| queries::live(reader, standing, after, PAGE))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.number;
        for row in page {
            see(state, row)?;
        }
    }
}
