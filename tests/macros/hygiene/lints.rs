//! Services under lints that look closely, and with what their authors allow.

#![forbid(unsafe_code)]
#![deny(warnings, clippy::all, clippy::pedantic)]
#![deny(unused_qualifications, clippy::missing_docs_in_private_items, clippy::single_call_fn)]

use zato_core::{Context, Result, Service, service};

/// Something that is not used any more.
#[deprecated]
#[derive(Clone, serde::Serialize)]
struct Old;

#[allow(deprecated, reason = "a type may implement traits while it is deprecated")]
impl<'de> serde::Deserialize<'de> for Old {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Ok(Self)
    }
}

/// Allowed for the item.
#[allow(deprecated, reason = "it is told apart here")]
#[service(name = "hygiene.lints.function")]
async fn function(_: &Context, old: Old, resource: &Old) -> Result<Old> {
    let _ = resource;
    Ok(old)
}

/// Expected of the item.
#[service(name = "hygiene.lints.expected")]
#[expect(deprecated, reason = "it is told apart here")]
struct Expected(Old);

impl Service for Expected {
    type Request = ();
    type Response = ();

    async fn handle(&self, _: &Context, (): ()) -> Result<()> {
        let _ = &self.0;
        Ok(())
    }
}

/// Allowed for a field.
#[service(name = "hygiene.lints.field")]
struct Field {
    /// The field.
    #[allow(deprecated, reason = "it is told apart here")]
    old: Old,
}

impl Service for Field {
    type Request = ();
    type Response = ();

    async fn handle(&self, _: &Context, (): ()) -> Result<()> {
        let _ = &self.old;
        Ok(())
    }
}

/// A service that is not used any more; its callbacks remain until it is gone.
#[deprecated]
#[service(name = "hygiene.lints.retired")]
async fn retired(_: &Context) -> Result<()> {
    Ok(())
}

/// Paired by the name that it gets.
#[service]
async fn retired_async_callback(_: &Context) -> Result<()> {
    Ok(())
}

/// Paired under a name of its own.
#[service(name = "hygiene.lints.retired-failed")]
async fn retired_async_failure(_: &Context) -> Result<()> {
    Ok(())
}

/// Names one that is deprecated.
#[allow(deprecated, reason = "it is replaced later")]
#[service(name = "hygiene.lints.names", callback = retired)]
async fn names(_: &Context) -> Result<()> {
    Ok(())
}

/// References with lifetimes of their own.
#[allow(clippy::needless_lifetimes, reason = "they are written out here")]
#[service(name = "hygiene.lints.lifetimes")]
async fn lifetimes<'a, 'b: 'a>(
    ctx: &'a Context,
    _: u64,
    one: &'a String,
    other: &'b u64,
    text: &'static str,
) -> Result<u64> {
    let _ = (ctx, one, text);
    Ok(*other)
}

#[test]
fn callbacks_of_a_deprecated_service_pair() {
    main();
}

#[allow(
    clippy::single_call_fn,
    reason = "it is called by the test where this file is not a crate of its own"
)]
fn main() {
    assert_eq!(retired_async_callback::NAME, "hygiene.lints.retired-async-callback");
    let lifetimes = lifetimes::service().erased();
    assert_eq!(
        lifetimes.needs().iter().map(zato_core::Need::type_name).collect::<Vec<_>>(),
        ["String", "u64", "&str"]
    );
}
