//! A service as the registry sees it: everything about it but its type.

use std::any::type_name;
use std::fmt;

use crate::name::{Origin, short_type_name};
use crate::resource::{MissingResource, Need, Resources};
use crate::{Handler, Service, Settings};

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
    build: fn(&Resources) -> Result<Handler, MissingResource>,
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
            build: |resources| Ok(Handler::of(S::build(resources)?)),
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

    /// The place in the source where the service is defined.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The settings of its attribute.
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
    pub fn build(&self, resources: &Resources) -> Result<Handler, MissingResource> {
        (self.build)(resources)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({} in {})", self.name, self.origin.module())
    }
}
