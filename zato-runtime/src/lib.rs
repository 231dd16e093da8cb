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
//! The life of an invocation, from the top: `door` and [`Runtime`] take calls, `intake` checks them and mints
//! their CID, the [`engine`] holds them, a `worker` takes them, `dispatch` runs one attempt, `retry` decides
//! what follows, and `settle` hands the engine the outcome together with its callbacks. The `mod` lines stand
//! lowest layer first: a module uses only what stands above its line.

mod apart;
mod lock;
mod counter;
mod clock;
mod words;
mod config;
mod cid;
mod summary;
#[doc(hidden)]
pub mod record;
mod found;
mod retry;
#[doc(hidden)]
pub mod engine;
mod registry;
mod builtin;
mod observer;
mod sleepers;
mod attempts;
mod watch;
mod shared;
mod limits;
mod error;
mod intake;
mod patterns;
mod dead;
mod dispatch;
mod settle;
mod shutdown;
mod fan_in;
mod nested;
mod door;
mod desk;
mod hands;
mod within;
mod beginning;
mod seats;
mod worker;
mod taking;
mod standing;
mod outline;
mod explain;
mod builder;
mod runtime;
mod look;
#[cfg(feature = "cli")]
mod cli;

pub use builder::Builder;
#[cfg(feature = "cli")]
pub use cli::{App, main};
#[doc(hidden)]
pub use config::Config;
pub use engine::EngineError;
pub use error::Error;
pub use explain::{Explain, Explanation};
pub use found::{DiscardAnswer, Filter, Found, Stage, Status, Tree, Waits};
pub use registry::{Fault, Faults};
pub use runtime::Runtime;
pub use zato_core::{CallError, Cancellation, Cid, Failure, FailureReport, Kind, Outcome, Payload};
