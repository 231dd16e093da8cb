//! Engines hold invocations between the caller and the worker.

mod contract;
mod rate;
mod state;
mod backpressure;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
mod open;

pub use contract::{
    Accepted, Capability, Engine, LeaseLost, LookUps, OnEnds, OnRecorded, ReadOnlyStore, Refused, Settled,
    StoreFault, WakeWorker,
};
pub(crate) use open::check;
#[cfg(feature = "cli")]
pub(crate) use open::keeps;
pub use open::{EngineError, open, open_read_only};
