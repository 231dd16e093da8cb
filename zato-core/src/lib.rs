//! What a service is: names, payloads, correlation IDs, the context and the registration of services.
//!
//! A struct with [`#[service]`](macro@service) and an `impl` of [`Service`] becomes a service: found at link
//! time, named, typed, invoked by name or by type. Crates of services depend on this crate alone; programs add
//! `zato-runtime`, which runs them.
//!
//! ```
//! use zato_core::{Context, Result, Service, service};
//!
//! #[service(name = "docs.my-service")]
//! struct MyService;
//!
//! impl Service for MyService {
//!     type Request = String;
//!     type Response = ();
//!
//!     async fn handle(&self, ctx: &Context, request: String) -> Result<()> {
//!         let cid = ctx.invoke_async("zato.helpers.echo", request).await?;
//!         println!("the reply will come under {cid}");
//!         Ok(())
//!     }
//! }
//!
//! /// Receives every asynchronous reply to calls from `MyService` that name no callback.
//! #[service]
//! struct MyServiceAsyncCallback;
//!
//! impl Service for MyServiceAsyncCallback {
//!     type Request = String;
//!     type Response = ();
//!
//!     async fn handle(&self, ctx: &Context, reply: String) -> Result<()> {
//!         println!("{:?} was answered: {reply}", ctx.in_reply_to());
//!         Ok(())
//!     }
//! }
//! # // A function, so that the services above stand in a module.
//! # fn main() { assert_eq!(MyServiceAsyncCallback::NAME, "docs.my-service-async-callback"); }
//! ```
//!
//! # Layout
//!
//! From the lowest layer to the highest: [`Cid`], [`Labels`], [`Payload`], [`Outcome`] and [`Invocation`] are what travels;
//! [`CallError`] and [`Failure`] are how calls and handlers fail, and [`OrFail`] makes failures of other errors;
//! [`Settings`] and [`Resource`] are what a
//! service's attribute and fields say; [`bus`] is what a runtime must offer, and [`Context`] hands it to
//! handlers; [`Service`] and [`Registration`] tie a type to its name.

mod name;
mod service_name;
mod moment;
mod duration;
mod settings;
mod into_duration;
mod cid;
mod labels;
mod options;
mod payload;
mod outcome;
mod invocation;
mod error;
mod failure;
mod or_fail;
mod resource;
pub mod bus;
pub mod target;
pub mod call;
mod cancel;
mod invoke_all;
mod group;
mod chain;
mod context;
mod service;
mod attempt;
mod pairing;
mod registration;
mod handle;

pub use attempt::{Attempt, Desk, Handler, Reply};
pub use call::{Invoke, InvokeAsync};
pub use cancel::{Cancel, Cancellation};
pub use chain::Chain;
pub use cid::{Cid, CidError};
pub use context::Context;
pub use error::{CallError, UnknownService};
pub use failure::{Failure, Result};
pub use group::{FanOut, Parallel};
pub use handle::Handle;
pub use into_duration::{DurationError, IntoBackoff, IntoDuration};
pub use invocation::{Channel, Invocation, Names, Slot};
pub use invoke_all::InvokeAll;
pub use labels::{LabelError, Labels, LabelsIter};
pub use moment::Moment;
pub use name::{MAX_NAME, Origin};
pub use options::{MAX_KEY, OptionError, Options, When};
pub use or_fail::OrFail;
pub use outcome::{Ending, FailureReport, Outcome};
pub use payload::{DecodeError, Kind, Payload, WriteError};
pub use registration::Registration;
pub use resource::{MissingResource, Need, Resource, Resources};
pub use service::{Registered, Service};
pub use service_name::ServiceName;
pub use settings::{Backoff, Rate, Settings};
pub use zato_macros::service;

/// The names in the code that the attribute writes, and some that the runtime needs. It is not a part of the public
/// interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::context::Nested;
    pub use crate::name::Named;
    pub use crate::or_fail::{Ended, EndedOtherwise, Returned, failed, permanent, retryable, text};
    pub use crate::pairing::{Beside, Here, Nothing, Otherwise};
    pub use crate::service::IsContext;
    pub use crate::{
        Context, Handle, MissingResource, Need, Origin, Registered, Registration, Resources, Result, Service,
        Settings,
    };
    pub use inventory;
}
