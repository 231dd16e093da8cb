//! What a log says.

mod node;
mod read;
mod calls;
mod members;
mod again;
mod shutdown;

pub(crate) use members::rows;
pub(crate) use node::{Attempt, Cancel, Checked, GRACE, Kind, Node, Restart, SLOP, When, World, must, near};
pub(crate) use read::Facts;
pub(crate) use shutdown::is_cut;
