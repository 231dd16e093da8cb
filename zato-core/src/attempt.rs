//! One run of a service, and what it holds on to meanwhile.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bus::Bus;
use crate::{Context, DecodeError, Failure, Payload, Service, WriteError};

/// One run of a handler.
pub type Attempt = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// The result of one run of a handler.
#[derive(Debug)]
pub enum Reply {
    /// The handler returned `Ok`, and this is its response.
    Completed(Payload),
    /// The handler returned `Err`.
    Failed(Failure),
    /// The payload is not the service's `Request`; the handler did not run.
    Undecodable(DecodeError),
    /// The handler returned `Ok`, but its response cannot be written.
    Unwritable(WriteError),
}

/// A service that can be run without its type being known.
pub struct Handler {
    service: Box<dyn Any + Send + Sync>,
    run: fn(Context) -> Attempt,
}

impl Handler {
    pub(crate) fn of<S: Service>(service: S) -> Self {
        Self { service: Box::new(service), run: run::<S> }
    }
}

/// The services of a runtime, as its attempts use them, and their access to its bus.
///
/// An attempt holds on to its desk. If all threads shared one, they would count up and down in the same place for every
/// attempt, and wait for each other there; each desk is counted in a line of the cache of its own.
#[repr(align(64))]
pub struct Handlers {
    handlers: Arc<[Handler]>,
    bus: Arc<dyn Bus>,
}

impl Handlers {
    /// For attempts of these services, each of which is known by its place among them, and calls by this bus.
    pub fn new(handlers: Arc<[Handler]>, bus: Arc<dyn Bus>) -> Self {
        Self { handlers, bus }
    }

    #[inline]
    pub(crate) fn bus(&self) -> &dyn Bus {
        &*self.bus
    }

    #[inline]
    pub(crate) fn handler(&self, number: u32) -> &Handler {
        &self.handlers[number as usize]
    }
}

impl Context {
    /// Begins the attempt: to read the payload, run the service on it and write the response.
    #[doc(hidden)]
    pub fn run(self) -> Attempt {
        (self.handler().run)(self)
    }
}

fn run<S: Service>(ctx: Context) -> Attempt {
    Box::pin(async move {
        let Some(service) = (*ctx.handler().service).downcast_ref::<S>() else {
            unreachable!("each handler runs the service that it was made of");
        };
        match request(ctx.payload(), ctx.invocation().carries_rows()) {
            Ok(request) => match service.handle(&ctx, request).await {
                Ok(response) => completed(&response),
                Err(failure) => Reply::Failed(failure),
            },
            Err(error) => Reply::Undecodable(error),
        }
    })
}

/// The request that a payload holds. Services that take the same have this in common, and reading and writing is most of
/// what is made for each: what many services run next to each other stays in the processor's cache.
#[inline(never)]
fn request<T: DeserializeOwned + 'static>(payload: &Payload, is_rows: bool) -> Result<T, DecodeError> {
    payload.decode_request(is_rows)
}

/// Converts a handler's return value into the result of its attempt.
#[inline(never)]
fn completed<T: Serialize + 'static>(response: &T) -> Reply {
    match Payload::write(response) {
        Ok(payload) => Reply::Completed(payload),
        Err(error) => Reply::Unwritable(error),
    }
}
