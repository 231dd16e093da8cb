//! The engine that keeps nothing on disk: bounded, with backpressure, for tests and for work that may be lost.
//!
//! **Every call goes through one state, behind one lock** (`engine`). A call from outside that asks the state for nothing
//! does not take that lock, which the workers need: it is appended to a list (`inbox`), and whoever locks the state next
//! puts all calls of the list into the state first. So whoever looks finds every call that was made before, in the order
//! in which the calls were made. A call asks for nothing where it has no key, no digest and no CID of its own, belongs to
//! no group, and is small. A shutdown closes the list before it empties it.
//!
//! **An invocation that has ended is written once, and forgotten without being read** (`compact_rows`). One that has completed
//! with short payloads is a row in a ring, with its payloads in another ring, so nothing in it has to be freed. Everything
//! else is kept whole (`history`), dead letters apart from what completed. Ten thousand of each are kept. What ended
//! below a group that is open is kept until the group has ended.

mod idempotency;
mod compact_rows;
mod history;
mod store;
mod inbox;
mod engine;
mod verbs;

pub(crate) use engine::Memory;
