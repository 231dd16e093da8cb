//! The engine that keeps everything in one file: `sqlite:PATH`.

mod error;
mod lock;
mod view;
mod format;
mod schema;
mod codec;
mod json;
mod names;
mod columns;
mod pass;
mod rows;
mod endings;
mod insert;
mod sweep;
mod lookups;
mod line;
mod trees;
mod retention;
mod change;
mod restart;
mod reader;
mod disk;
mod file;
mod space;
mod engine;
mod writer;
mod sweeper;
mod paging;
mod looks;
mod verbs;
mod beside;
#[cfg(test)]
mod samples;

pub(super) use beside::Reads;
pub(super) use engine::Sqlite;
pub(super) use error::StoreError;
