//! The engine that keeps nothing: bounded, with backpressure, for tests and for work that may be lost.

mod queues;
mod ended;
mod groups;
mod state;
mod engine;

pub(crate) use engine::Memory;
