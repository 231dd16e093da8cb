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
mod deaths;
mod programs;
mod priorities;
mod check;

pub(crate) use check::{Moment, check, check_with, losses};
pub(crate) use deaths::Deaths;
pub(crate) use fault::{Fault, Rule};
pub(crate) use losses::Losses;
pub(crate) use programs::turns;
