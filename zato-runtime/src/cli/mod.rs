//! The command-line door, in the user's own program.

mod args;
mod input;
mod output;
mod logging;
mod stop;
mod list;
mod progress;
mod follow;
mod invoke;
mod run;
mod app;

pub use app::{App, main};
