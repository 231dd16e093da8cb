//! What holds invocations between the caller and the worker.

mod contract;
mod rate;
mod state;
mod backpressure;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
mod open;

pub use contract::{
    Accepted, Beside, Capability, Engine, LeaseLost, LookUps, OnEnds, Recorded, Refused, Ring, Settled,
    StoreFault,
};
pub(crate) use open::check;
#[cfg(feature = "cli")]
pub(crate) use open::keeps;
pub use open::{EngineError, open, open_beside};
