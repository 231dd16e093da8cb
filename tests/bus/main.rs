//! The bus, tried at its doors: every test starts a runtime of its own with just the services that it needs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that is not what it should be panics")]

mod builder;
mod journal;
mod labels;
mod model;
mod patterns;
mod patterns_of_many;
mod chains;
mod calls;
mod invoke_all;
mod context;
mod damage;
mod outcomes;
mod failures;
mod table;
mod payloads;
mod hostile;
mod cancel;
mod identity;
mod retries;
mod equal_calls;
mod time;
mod durations;
mod beyond;
mod blocking;
mod own_threads;
mod locked;
mod blocked;
mod waits;
mod keys;
mod rate;
mod pause;
mod passing;
mod limits;
mod retention;
mod formerly;
mod shutdown;
mod restarts;
mod look;
mod losses;
mod explain;
mod dead_letters;
mod registry;
mod engines;
mod layers;
