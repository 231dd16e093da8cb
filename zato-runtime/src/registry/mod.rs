//! The registry of linked services. It is checked once, at start, and never changes afterwards.

mod nearest;
mod faults;
mod pairing;
mod services;
pub(crate) mod builtin;

pub use faults::{Fault, Faults};
pub(crate) use services::{Entry, Registry};
