//! A service as the registry sees it: everything about it but its type.

use std::any::type_name;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::name::{Origin, short_type_name};
use crate::resource::{MissingResource, Need, Resources};
use crate::{Context, DecodeError, Failure, Payload, Service, Settings, WriteError};

/// A registered service without its type. `X::service().erased()` makes one.
#[derive(Clone, Copy)]
pub struct Registration {
    name: &'static str,
    origin: Origin,
    settings: Settings,
    callback_of: Option<&'static str>,
    failure_of: Option<&'static str>,
    needs: &'static [Need],
    request: fn() -> &'static str,
    response: fn() -> &'static str,
    build: fn(&Resources) -> Result<Arc<dyn Handler>, MissingResource>,
}

inventory::collect!(Registration);

impl Registration {
    /// The registration of a service.
    pub const fn of<S: Service>() -> Self {
        Self {
            name: S::NAME,
            origin: S::ORIGIN,
            settings: S::SETTINGS,
            callback_of: S::CALLBACK_OF,
            failure_of: S::FAILURE_OF,
            needs: S::NEEDS,
            request: type_name::<S::Request>,
            response: type_name::<S::Response>,
            build: |resources| Ok(Arc::new(Typed(Arc::new(S::build(resources)?)))),
        }
    }

    /// Every service that is linked into this program, in no order.
    pub fn linked() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>.into_iter()
    }

    /// The service's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it was written.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What its attribute says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The caller whose convention callback it is because of how the types are called.
    pub fn callback_of(&self) -> Option<&'static str> {
        self.callback_of
    }

    /// The caller whose convention failure callback it is because of how the types are called.
    pub fn failure_of(&self) -> Option<&'static str> {
        self.failure_of
    }

    /// The resources that it asks for.
    pub fn needs(&self) -> &'static [Need] {
        self.needs
    }

    /// The type of its request, as its user writes it.
    pub fn request_type(&self) -> String {
        short_type_name((self.request)())
    }

    /// The type of its response, as its user writes it.
    pub fn response_type(&self) -> String {
        short_type_name((self.response)())
    }

    /// Makes the service with its resources.
    ///
    /// # Errors
    ///
    /// [`MissingResource`] for the first that no one provided.
    pub fn build(&self, resources: &Resources) -> Result<Arc<dyn Handler>, MissingResource> {
        (self.build)(resources)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({} in {})", self.name, self.origin.module())
    }
}

/// One run of a handler.
pub type Attempt = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// What one run of a handler brought.
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
pub trait Handler: Send + Sync {
    /// Reads the context's payload, runs the service on it and writes the response.
    fn run(self: Arc<Self>, ctx: Context) -> Attempt;

    /// The same service, counted apart: an attempt holds on to what runs it, and whoever shares that counts up and down in
    /// the same place.
    fn apart(&self) -> Arc<dyn Handler>;
}

/// Counted in a line of the cache of its own: what stands beside it is read by all threads, and each attempt counts here.
#[repr(align(64))]
struct Typed<S>(Arc<S>);

impl<S: Service> Handler for Typed<S> {
    fn run(self: Arc<Self>, ctx: Context) -> Attempt {
        Box::pin(async move {
            let request = match ctx.payload().decode::<S::Request>() {
                Ok(request) => request,
                Err(error) => return Reply::Undecodable(error),
            };
            match self.0.handle(&ctx, request).await {
                Ok(response) => match Payload::write(&response) {
                    Ok(payload) => Reply::Completed(payload),
                    Err(error) => Reply::Unwritable(error),
                },
                Err(failure) => Reply::Failed(failure),
            }
        })
    }

    fn apart(&self) -> Arc<dyn Handler> {
        Arc::new(Self(self.0.clone()))
    }
}
