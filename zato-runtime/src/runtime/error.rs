//! The error of a program that runs the bus.

use std::fmt;

use zato_core::{CallError, Cid, DecodeError, OptionError};

use crate::engine::{EngineError, StoreFault};
use crate::registry::Faults;

/// An error of a program that runs the bus: at start, in a call, or in a look-up.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is wrong with the services that are linked. Nothing was started.
    #[error(transparent)]
    Services(#[from] Faults),
    /// A setting cannot be used, such as a text that is not a duration. Nothing was started.
    #[error(transparent)]
    Setting(#[from] OptionError),
    /// The engine cannot be opened. Nothing was started.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A call was refused, or returned no response.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A payload is not of the type that the program reads.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The engine does not hold the invocation: it was never accepted, was discarded, or ended so long ago that retention has
    /// deleted it.
    #[error("{}", CallError::NotHeld(*.0))]
    NotHeld(Cid),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The operating system returned no random numbers, which CIDs need. Nothing was started.
    #[error("the operating system returned no random numbers, which correlation IDs need: {0}")]
    Random(#[source] std::io::Error),
    /// The runtime was started outside a tokio runtime.
    #[error("a runtime needs tokio: start it inside `#[tokio::main]`, or let `zato_runtime::main()` do it")]
    NoTokio,
    /// The runtime was started on a tokio without timers.
    #[error(
        "a runtime needs tokio's timers: call `enable_time()` or `enable_all()` on `tokio::runtime::Builder`"
    )]
    NoTimers,
}

/// Shows the text with its cure, not the fields, because `main` and `unwrap` print it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
