//! Reads a journal and a file, and names what is not as it was promised. Shares no code with the bus.

mod fault;
mod rows;
mod world;
mod receipts;
mod outcomes;
mod asked;
mod callbacks;
mod groups;
mod lanes;
mod attempts;
mod losses;
mod check;

pub(crate) use check::{Moment, check, check_with, losses};
pub(crate) use fault::{Fault, Rule};
pub(crate) use losses::Losses;
