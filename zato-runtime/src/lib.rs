//! The bus that runs [`zato_core`]'s services: intake, dispatch, outcomes, engines and the command line.
//!
//! ```
//! use zato_core::{Context, Result, Service, service};
//! use zato_runtime::Runtime;
//!
//! #[service(name = "docs.shout")]
//! struct Shout;
//!
//! impl Service for Shout {
//!     type Request = String;
//!     type Response = String;
//!
//!     async fn handle(&self, _ctx: &Context, text: String) -> Result<String> {
//!         Ok(text.to_uppercase())
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), zato_runtime::Error> {
//!     let runtime = Runtime::builder().start().await?;
//!     let cid = runtime.invoke_async(Shout::service(), "hello").await?;
//!     assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: HELLO");
//!     runtime.shutdown().await
//! }
//! ```
//!
//! # Layout
//!
//! The `mod` lines are the layers, lowest first: a module uses only what is above its line. A call comes in through `calls`,
//! which checks it and gives it a CID; the [`engine`] holds it; a `worker` takes it and runs an `attempt`; `settle` hands the
//! engine the outcome together with its callbacks. `bus` is what these have in common, `record` the words between them and an
//! engine.

mod base;
mod config;
#[doc(hidden)]
pub mod record;
#[doc(hidden)]
pub mod engine;
mod registry;
mod attempt;
mod inspect;
mod bus;
mod calls;
mod settle;
mod worker;
mod runtime;
#[cfg(feature = "cli")]
mod cli;

#[cfg(feature = "cli")]
pub use cli::{App, main};
#[doc(hidden)]
pub use config::Config;
pub use engine::EngineError;
pub use inspect::explain::Explanation;
pub use record::lookup::{DiscardAnswer, Filter, InvocationInfo, Status, StatusFilter, Tree, WaitReason};
pub use registry::{Fault, Faults};
pub use runtime::builder::Builder;
pub use runtime::error::Error;
pub use runtime::explain::Explain;
pub use runtime::handle::Runtime;
pub use zato_core::{CallError, Cancellation, Cid, Failure, FailureReport, Kind, Outcome, Payload};
