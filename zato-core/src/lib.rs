//! Services: their names, payloads, correlation IDs, context and registration.
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
//! # // A function, so that the services above are in a module.
//! # fn main() { assert_eq!(MyServiceAsyncCallback::NAME, "docs.my-service-async-callback"); }
//! ```
//!
//! # Where to begin
//!
//! [`Service`] and the attribute [`service`](macro@service) make a service. [`Context`] is what its handler receives: it
//! knows the invocation's [`Cid`] and [`Labels`], and makes calls. [`Result`] and [`Failure`] say how a handler fails,
//! [`OrFail`] makes failures of other errors, and [`CallError`] says why a call was refused. [`Payload`] is any request or response, [`FailureReport`] and [`Row`] are what failure callbacks and final
//! callbacks receive.
//!
//! [`spi`] is for runtimes, not for services, and may change with any version.

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
mod call_path;
mod error;
mod failure;
mod or_fail;
mod resource;
#[doc(hidden)]
pub mod bus;
pub mod target;
#[doc(hidden)]
pub mod call;
mod cancel;
mod invoke_all;
mod row;
mod group;
mod chain;
mod context;
mod service;
mod attempt;
mod pairing;
mod registration;
mod handle;

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
pub use invocation::Channel;
pub use invoke_all::InvokeAll;
pub use labels::{LabelError, Labels, LabelsIter};
pub use options::OptionError;
pub use or_fail::OrFail;
pub use outcome::{Ending, FailureReport, Outcome};
pub use payload::{DecodeError, Kind, Payload, WriteError};
pub use registration::Registration;
pub use resource::Resource;
pub use row::Row;
pub use service::Service;
pub use settings::Backoff;
pub use zato_macros::service;

#[doc(hidden)]
pub use spi::{
    Attempt, Handler, Handlers, Invocation, MAX_KEY, MAX_NAME, MissingResource, Moment, Names, Need, Options,
    Origin, Rate, Registered, Reply, Resources, ServiceName, Settings, Slot, When,
};

/// The part of this crate that runtimes use and services do not. It promises no stability: any version may change it.
pub mod spi {
    pub use crate::attempt::{Attempt, Handler, Handlers, Reply};
    pub use crate::bus::{Admission, Bus, Call, Chosen, GroupCall, Step};
    pub use crate::into_duration::show_duration;
    pub use crate::invocation::{Invocation, Names, Slot};
    pub use crate::moment::Moment;
    pub use crate::name::{MAX_NAME, Origin};
    pub use crate::options::{MAX_KEY, Options, When};
    pub use crate::resource::{MissingResource, Need, Resources};
    pub use crate::service::Registered;
    pub use crate::service_name::ServiceName;
    pub use crate::settings::{Rate, Settings};
}

/// The names in the code that the attribute writes, and some that the runtime needs. It is not a part of the public
/// interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::context::Nested;
    pub use crate::name::Named;
    pub use crate::or_fail::{Ended, EndedOtherwise, Returned, permanent, retryable, text};
    pub use crate::pairing::{Beside, Here, Nothing, Otherwise};
    pub use crate::service::IsContext;
    pub use crate::{
        Context, Handle, MissingResource, Need, Origin, Registered, Registration, Resources, Result, Service,
        Settings,
    };
    pub use inventory;
}
