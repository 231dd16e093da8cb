//! The engine that keeps nothing: bounded, with backpressure, for tests and for work that may be lost.
//!
//! **What asks for nothing passes by the state** (`engine/express`, `memory/track`, `passing`). A plain call from
//! outside waits in a queue beside the state, as what it says, in two lines of the cache; a worker makes its
//! invocation, runs it and its callback, and writes a row for each (`settle::pass`, which is a settle with less
//! around it): of a target once its callback has run, or somebody looks. *Whoever asks the engine for anything finds
//! all of it entered*: `Memory::whole` takes what waits, what runs and what has ended into the state first, in the
//! order in which it came, and what is entered goes on as everything else does. The way is closed while anything
//! waits in the state that could be started, so nothing overtakes; it is decided anew whenever the lock is released.
//! Locks are taken in the order state, slot of a worker, queue. What is entered while it runs is settled with the
//! lease that it was given then (`Express::promote`).
//!
//! **So do members of groups from outside** (`memory/members`, `memory/joining`). Their group is opened in the state;
//! they wait as what they say, in the vector that they came in, and their rows stand with the worker that has run
//! them until the last of them is on its way no more. Who runs that one joins the group under the lock of the state.
//! What the group tells of them (`summary`) each worker writes as they end, and gives away when it tells that they
//! have (`memory/told`); whoever comes when nobody does puts the parts together in the order of the slots, and nobody
//! waits for that. Where some have ended in the state, it is written from the rows in the end. A worker tells that
//! members have ended before it runs anything else, so a handler that takes long holds up no group but its own. Where
//! somebody looks, rows and members are entered as if they had never passed; and so are the rows of a group of which
//! another member fails or waits.
//!
//! **A handler that waits passes by, too** (`memory/outside`, `passing`). Its attempt has a seat, and stands among
//! what its worker has set out until that has ended. Where somebody looks it is entered, and only then is it noted
//! where it may be asked to stop (`OnEntered`, `attempts`). So many may be out as `max_running` leaves.
//!
//! **What has ended in memory is written once and forgotten without being read** (`memory/rows`): what has completed
//! and took few words is a row in a ring, with its payloads in another, and nothing in it has to be freed. Ten
//! thousand are remembered, and memory that nobody has touched for so many ends comes from far away, under the lock.
//! What says more is kept whole (`memory/remembered`), and so are dead letters. What ended below a group that is open
//! is held until that has ended.

mod keys;
mod rows;
mod remembered;
mod nowhere;
mod inbox;
mod engine;
mod verbs;

pub(crate) use engine::Memory;
