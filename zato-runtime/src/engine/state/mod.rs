//! What every engine of one process does alike: who waits, who runs, whose turn it is, and what follows from an end.
//!
//! **One table has a place for each invocation that is held or kept** (`state/table`), found by its CID and tied to
//! what is above, below and beside it, so a tree is walked and not searched for. What has ended is not forgotten
//! while that above it has not; one that is forgotten while something is below it stays as a gap, and goes with the
//! last of them. In the file a tree is its rows with their parents; what stands below a row that is gone is taken to
//! be below the root, and what runs a root again stands beside it.
//!
//! **A ticket and a lease say where what they are for stands.** Its number is what they are checked by, so what waits
//! or runs is looked up by its CID when it comes and when it goes, and not in between.

#![cfg_attr(
    not(feature = "sqlite"),
    allow(dead_code, unused_imports, reason = "what only an engine asks for that keeps what it holds")
)]

mod times;
mod place;
mod groups;
mod call_dedup;
mod expiry_cursor;
mod store;
mod timers;
mod lanes;
mod queues;
mod entry;
mod table;
mod spill;
mod spill_reads;
mod deferred;
#[expect(clippy::module_inception, reason = "the state itself, beside what can be done to it")]
mod state;
mod accept;
mod end;
mod restore;
mod tree;
mod lookup;
mod due;
mod refill;
mod concurrency_keys;
mod overrun;
mod interrupted;
mod giving_up;
mod unrecorded;

pub(super) use accept::NotTaken;
pub(super) use deferred::Deferred;
pub(super) use due::MOST_ENDS;
pub(super) use entry::Entry;
pub(super) use place::{KeptId, Oldest, Place};
pub(super) use spill_reads::{ExpiryPage, ReadRequest, SpillPage};
pub(super) use state::State;
pub(super) use store::{Accepted, EndedRecord, Member, Pending, Store};
#[cfg(test)]
pub(super) use table::Table;
pub(super) use times::{ends_at, key_of};
