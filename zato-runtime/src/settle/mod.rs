//! The way out: an outcome and its callbacks are recorded in one step.

mod callbacks;
pub(crate) mod join;
pub(crate) mod commit;
