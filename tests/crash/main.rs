//! A bus that is killed with SIGKILL at random moments, whose power is lost, whose disk fails: what it has promised is
//! kept.
//!
//! The test starts its own binary in two other roles. The *child* (`child`) is a bus under load on a file; it is killed
//! and started again on the same file, many times. The *journal* (`journal`) is written and synced by a process that is
//! not killed: it holds what was asked for, what was answered and what ran. At the end the *checker* (`checker`) reads
//! the journal and the file with its own SQL, and names what is not as it was promised.
//!
//! Two more tests load a library under the child (`shim.c`), which sees every call to its files. It records what is
//! written, synced and told: played up to some point, without all or some of what was not synced, that is a disk that
//! has lost its power (`record`, `disk`, `cut`, `power`). And it has a call fail, once or for ever, each in turn, or the
//! disk full (`sweep`, `faults`). The same tools are tried on bare SQLite (`rows`), where what they find is known.
//!
//! `ZATO_TEST_SEED` is where chance begins; `ZATO_TEST_CUTS` says how often the power is lost; `ZATO_TEST_FAULTS` at how
//! many calls of each kind a fault begins, 0 for all of them; `ZATO_TEST_KIND` says of which kind alone, `Unlock` for
//! one; `ZATO_TEST_FAULT` repeats one fault, as a failure has told it.

// Elsewhere a pipe takes less than a line of the journal in one piece.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that is not what it should be panics")]

mod number;
mod chance;
mod script;
mod maker;
mod journal;
mod door;
mod services;
mod programs;
mod turns;
mod switches;
mod child;
mod trial;
mod rows;
mod receipts;
mod process;
mod checker;
mod killer;
mod killed;
mod outside;
mod doctored;
mod shim;
mod record;
mod disk;
mod cut;
mod place;
mod peace;
mod power;
mod sweep;
mod small_disk;
mod full;
mod threads;
mod unlock;
mod unrecorded;
mod faults;
mod two_programs;
mod doctored_turns;
mod moved;
mod taken_away;
mod damaged_log;
