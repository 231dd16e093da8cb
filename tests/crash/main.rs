//! A bus that is killed with SIGKILL at random moments, whose power is lost, whose disk fails: what it has promised is
//! kept.
//!
//! The test starts its own binary in two other roles. The *child* (`child`) is a bus under load on a file; it is killed
//! and started again on the same file, many times. The *journal* (`journal`) is written and synced by a process that is
//! not killed: it holds what was asked for, what was answered and what ran. At the end the *checker* (`checker`) reads
//! the journal and the file with its own SQL, and names what is not as it was promised.

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
mod child;
mod trial;
mod rows;
mod process;
mod checker;
mod killer;
mod killed;
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
mod faults;
