//! The engine that keeps nothing: bounded, with backpressure, for tests and for work that may be lost.

mod lanes;
mod queues;
mod keys;
mod repeats;
mod timers;
mod ended;
mod groups;
mod held;
mod lingering;
mod held_back;
mod accept;
mod ends;
mod state;
mod lookup;
mod timing;
mod engine;

pub(crate) use engine::Memory;
