//! The engine that keeps nothing: bounded, with backpressure, for tests and for work that may be lost.

mod keys;
mod rows;
mod remembered;
mod nowhere;
mod engine;

pub(crate) use engine::Memory;
