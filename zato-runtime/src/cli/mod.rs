//! The command-line door, in the user's own program.

mod examples;
mod args;
mod input;
mod output;
mod payload;
mod logging;
mod error;
mod stop;
mod table;
mod store;
mod services;
mod progress;
mod follow;
mod invoke;
mod run;
mod serve;
mod stands;
mod invocations;
mod explain;
mod dead;
mod cancel;
mod app;

pub use app::{App, main};
