//! What is wrong with the services is found at start, all of it at once, with its cure.

use zato_core::{Context, Result, service};
use zato_runtime::{Error, Runtime};

use crate::builder::builder;

mod first {
    use super::*;

    #[service(name = "registry.twin", formerly = ["registry.taken"])]
    async fn twin(_: &Context) -> Result<()> {
        Ok(())
    }

    pub(super) fn erased() -> zato_core::Registration {
        twin::service().erased()
    }
}

mod second {
    use super::*;

    #[service(name = "registry.twin")]
    async fn twin(_: &Context) -> Result<()> {
        Ok(())
    }

    pub(super) fn erased() -> zato_core::Registration {
        twin::service().erased()
    }
}

#[derive(Clone)]
struct Pool;

#[service(name = "registry.needs")]
async fn needs(_: &Context, _request: (), _pool: &Pool, _port: u16) -> Result<()> {
    Ok(())
}

#[service(name = "registry.dangling", callback = "registry.taekn", on_failure = "quite.different")]
async fn dangling(_: &Context) -> Result<()> {
    Ok(())
}

#[service(name = "registry.taken")]
async fn taken(_: &Context) -> Result<()> {
    Ok(())
}

#[service(name = "registry.taken-async-callback")]
async fn by_name(_: &Context) -> Result<()> {
    Ok(())
}

#[service(name = "registry.by-type")]
async fn taken_async_callback(_: &Context) -> Result<()> {
    Ok(())
}

async fn fault(services: impl IntoIterator<Item = zato_core::Registration>) -> String {
    match builder().services(services).start().await {
        Err(error @ Error::Services(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_services_with_one_name_are_named_with_their_modules() {
    let fault = fault([first::erased(), second::erased()]).await;
    assert!(fault.starts_with("two services are named `registry.twin`: "), "{fault}");
    assert!(fault.contains("registry::first::twin`") && fault.contains("registry::second::twin`"), "{fault}");
    assert!(fault.contains("registry.rs:"), "{fault}");
}

#[tokio::test]
async fn a_missing_resource_is_named_with_service_field_and_type() {
    let error = builder().services([needs::service().erased()]).provide(80_u16).start().await.unwrap_err();
    let fault = error.to_string();
    assert!(fault.starts_with("no `Pool` was provided:\n    `registry.needs` "), "{fault}");
    assert!(fault.contains("needs one for `_pool`") && fault.contains("App::new().provide(..)"), "{fault}");
}

#[tokio::test]
async fn two_callbacks_for_one_caller_are_both_named() {
    let fault = fault([
        taken::service().erased(),
        by_name::service().erased(),
        taken_async_callback::service().erased(),
    ])
    .await;
    assert!(fault.contains("`registry.taken` has two callbacks: "), "{fault}");
    assert!(
        fault.contains("`registry.taken-async-callback`") && fault.contains("`registry.by-type`"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_callback_that_no_service_is_gets_the_nearest_name() {
    let fault = fault([dangling::service().erased(), taken::service().erased()]).await;
    assert!(fault.contains("2 faults in the services"), "{fault}");
    assert!(fault.contains("`callback = \"registry.taekn\"`"), "{fault}");
    assert!(fault.contains("did you mean `registry.taken`?"), "{fault}");
    assert!(fault.contains("`on_failure = \"quite.different\"`"), "{fault}");
}

#[tokio::test]
async fn a_former_name_belongs_to_one_service() {
    let fault = fault([first::erased(), taken::service().erased()]).await;
    assert!(fault.contains("formerly `registry.taken`"), "{fault}");
}

/// All that is linked into this binary is faulty on purpose; the faults come in one message.
#[tokio::test]
async fn all_that_is_linked_is_checked_together() {
    let error = Runtime::builder().start().await.unwrap_err().to_string();
    for part in
        ["registry.twin", "registry.needs", "registry.taken", "registry.dangling", "faults in the services"]
    {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named_with_those_that_are() {
    let error = Runtime::builder().services([]).engine("redis://localhost").start().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`redis://localhost` is not an engine of this program: it has `memory:` and `sqlite:PATH`"
    );
}
