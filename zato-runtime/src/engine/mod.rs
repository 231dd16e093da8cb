//! What holds invocations between the caller and the worker.

mod contract;
mod rate;
mod state;
mod line;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
mod url;

pub use contract::{
    Accepted, Beside, Capability, Engine, LeaseLost, LookUps, OnEnds, Recorded, Refused, Ring, Settled,
    StoreFault,
};
pub(crate) use url::check;
#[cfg(feature = "cli")]
pub(crate) use url::keeps;
pub use url::{EngineError, open, open_beside};
