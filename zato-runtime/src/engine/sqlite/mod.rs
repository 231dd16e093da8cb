//! The engine that keeps everything in one file: `sqlite:PATH`.

#![allow(dead_code, reason = "the engine that calls it is not there yet")]

mod error;
mod lock;
mod view;
mod format;
mod schema;
mod codec;
mod json;
mod names;
mod columns;
mod rows;
mod insert;
mod sweep;
mod repeats;
mod lookups;
mod trees;
#[cfg(test)]
mod samples;
