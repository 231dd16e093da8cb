//! What is linked, checked once.

mod nearest;
mod faults;
mod pairing;
mod services;
pub(crate) mod builtin;

pub use faults::{Fault, Faults};
pub(crate) use services::{Entry, Registry};
