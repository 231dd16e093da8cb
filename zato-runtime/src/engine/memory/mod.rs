//! The engine that keeps nothing: bounded, with backpressure, for tests and for work that may be lost.

mod lock;
mod keys;
mod rows;
mod remembered;
mod nowhere;
mod members;
mod told;
mod in_hand;
mod outside;
mod waiting;
mod taken;
mod track;
mod setting_out;
mod engine;
mod passing;
mod joining;
mod verbs;

pub(crate) use engine::Memory;
