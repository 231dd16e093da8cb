//! The command line of a program, as its user sees it: the program is the example `two_crates`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that is not what it should be panics")]

#[path = "../examples/program.rs"]
mod program;
mod two_crates;
mod help;
mod services;
mod invoke;
mod invoke_async;
mod run;
mod signals;
mod store;
mod serve;
mod offline;
mod missing_store;
mod ownership;
mod dead;
mod cancel;
mod app;
mod endings;
mod logging;
mod waiting;
mod exit_codes;
mod json;
mod terminal;
mod threads;
