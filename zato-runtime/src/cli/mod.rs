//! The command line of the user's own program.

mod examples;
mod terminal;
mod zone;
mod cids;
mod given;
mod args;
mod input;
mod output;
mod payload;
mod logging;
mod error;
mod find_cid;
mod signals;
mod resources;
mod table;
mod store;
mod services;
mod check;
mod lines;
mod progress;
mod follow;
mod invoke;
mod run;
mod serve;
mod listing;
mod invocations;
mod explain;
mod dead;
mod cancel;
mod app;

pub use app::{App, main};
