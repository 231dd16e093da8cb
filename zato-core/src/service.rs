//! What a service is, and what the attribute writes for it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::name::{Named, Origin};
use crate::resource::{MissingResource, Need, Resources};
use crate::{Context, Result, Settings};

/// A named, typed unit of work. Annotate the struct with [`#[service]`](macro@crate::service) and implement this.
///
/// ```
/// use zato_core::{Context, Result, Service, service};
///
/// #[service(name = "docs.greet")]
/// struct Greet;
///
/// impl Service for Greet {
///     type Request = String;
///     type Response = String;
///
///     async fn handle(&self, _ctx: &Context, name: String) -> Result<String> {
///         Ok(format!("Hello, {name}!"))
///     }
/// }
/// assert_eq!(Greet::NAME, "docs.greet");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is annotated with `#[service]` but has no `impl Service`",
    label = "`Service` is not implemented for this type",
    note = "write `impl Service for {Self} {{ type Request = ..; type Response = ..; async fn handle(&self, ctx: \
            &Context, request: ..) -> Result<..> {{ .. }} }}`"
)]
pub trait Service: Registered + Send + Sync {
    /// What the service takes.
    type Request: DeserializeOwned + Send + 'static;
    /// What the service returns.
    type Response: Serialize + Send + 'static;

    /// Does the work: one attempt of one invocation.
    ///
    /// Returns the response, or a [`Failure`](crate::Failure) (any error becomes one by `?`). A panic ends the
    /// attempt as a failure does. The future must be `Send`: what lives across an `.await` must be.
    fn handle(
        &self,
        ctx: &Context,
        request: Self::Request,
    ) -> impl Future<Output = Result<Self::Response>> + Send; // `async fn`; `Arc` for `Rc`; no lock guard over `.await`
}

/// The registration that `#[service]` writes for a struct: name, place in the source, settings and resources.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service: it has no `#[service]` attribute",
    label = "not annotated with `#[service]`",
    note = "put `#[service]` or `#[service(name = \"..\")]` above `{Self}`"
)]
pub trait Registered: Sized + 'static {
    /// Where the service was written.
    const ORIGIN: Origin;
    /// The name, as it is computed at compile time.
    const NAMED: Named;
    /// What the attribute says beside the name.
    const SETTINGS: Settings = Settings::new();
    /// The caller whose convention callback this service is because of how the types are called.
    const CALLBACK_OF: Option<&'static str> = None;
    /// The caller whose convention failure callback this service is because of how the types are called.
    const FAILURE_OF: Option<&'static str> = None;
    /// The resources that it asks for.
    const NEEDS: &'static [Need] = &[];
    /// The service's name.
    const NAME: &'static str = Self::NAMED.as_str();

    /// Makes the service with its resources.
    ///
    /// # Errors
    ///
    /// [`MissingResource`] for the first that no one provided.
    fn build(resources: &Resources) -> Result<Self, MissingResource>;
}

/// The first parameter of a service function, whatever its type is called there.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the first parameter of a service function is `ctx: &zato_core::Context`, not `&{Self}`",
    label = "not `zato_core::Context`",
    note = "write `async fn name(ctx: &Context, request: Request, resource: &Resource) -> Result<Response>`, with \
            `use zato_core::{{Context, Result}};`"
)]
pub trait IsContext {
    fn of(ctx: &Context) -> &Self;
}

impl IsContext for Context {
    fn of(ctx: &Context) -> &Self {
        ctx
    }
}
