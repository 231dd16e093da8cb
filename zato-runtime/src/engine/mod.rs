//! What holds invocations between the caller and the worker.

mod contract;
mod rate;
mod state;
mod line;
mod memory;
mod url;

pub use contract::{Accepted, Capability, Engine, LeaseLost, Refused, Settled};
pub(crate) use url::check;
pub use url::{EngineError, open};
