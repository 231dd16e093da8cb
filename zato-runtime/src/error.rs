//! What can go wrong for a program that runs the bus.

use zato_core::{CallError, Cid, DecodeError};

use crate::engine::EngineError;
use crate::registry::Faults;

/// What can go wrong for a program that runs the bus: at start, in a call, or in a look-up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is wrong with the services that are linked. Nothing was started.
    #[error(transparent)]
    Services(#[from] Faults),
    /// The engine cannot be opened. Nothing was started.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A call was refused, or brought no response.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A payload is not what the program takes it for.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The invocation is not held: it never was, or it has ended and is no longer remembered.
    #[error("{}", CallError::NotHeld(*.0))]
    NotHeld(Cid),
    /// The runtime was started where there is no tokio.
    #[error("a runtime needs tokio: start it inside `#[tokio::main]`, or let `zato_runtime::main()` do it")]
    NoTokio,
}
