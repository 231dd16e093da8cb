//! The way in: a call is checked, gets a CID, and is handed to the engine.

pub(crate) mod accept;
pub(crate) mod groups;
pub(crate) mod rerun;
pub(crate) mod nested;
mod cancel;
mod door;
