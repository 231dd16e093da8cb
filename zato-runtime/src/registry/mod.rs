//! What is linked, checked once.

mod nearest;
mod faults;
mod pairing;
mod checked;

pub(crate) use checked::{Entry, Registry};
pub use faults::{Fault, Faults};
