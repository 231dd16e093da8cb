//! The errors with which a handler may fail, and what becomes of each: the text of the outcome, and whether another
//! attempt is made.

use std::error::Error as StdError;

use anyhow::Context as _;
use zato_core::{CallError, Context, Failure, OrFail, Registration, Result, Service, fail, service};
use zato_runtime::Outcome;

use crate::builder::{builder, finish};

/// An error that other threads may not share.
#[derive(Debug, Clone)]
struct Unshared(std::rc::Rc<str>);

impl std::fmt::Display for Unshared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Unshared {}

/// An error of the user's that says itself what is permanent, and is not a `std::error::Error`.
struct Refused;

impl From<Refused> for Failure {
    fn from(_: Refused) -> Self {
        Self::permanent("refused")
    }
}

fn with_causes() -> anyhow::Result<u64> {
    Err::<u64, _>(std::io::Error::other("disk on fire")).context("reading the rates").context("pricing")
}

fn boxed() -> Result<u64, Box<dyn StdError>> {
    Err(Box::new(Unshared("not shared".into())))
}

fn shared() -> Result<u64, Box<dyn StdError + Send + Sync>> {
    Err("boxed text".into())
}

/// An error of the user's that a refused call has caused.
#[derive(Debug)]
struct Inside(CallError);

impl std::fmt::Display for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the order was not placed")
    }
}

impl StdError for Inside {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

fn refusal() -> CallError {
    zato_core::OptionError::NoAttempt.into()
}

/// A struct service, whose handler returns `zato_core::Result`: the request names the way of failing.
#[service(name = "failures.handler", max_attempts = 2, backoff = "1s")]
struct Handler;

impl Service for Handler {
    type Request = String;
    type Response = u64;

    async fn handle(&self, _ctx: &Context, way: String) -> Result<u64> {
        Ok(match &*way {
            "anyhow" => with_causes().or_retry()?,
            "anyhow, permanently" => with_causes().or_permanent()?,
            "box" => boxed().or_permanent()?,
            "shared box" => shared().or_permanent()?,
            "String" => Err(way).or_permanent()?,
            "&str" => Err("a text").or_retry()?,
            "std error" => "x".parse::<u64>().or_permanent()?,
            "refusal" => Err(refusal())?,
            "refusal, again" => Err(refusal()).or_retry()?,
            "boxed refusal" => Err(Box::<dyn StdError>::from(refusal())).or_retry()?,
            "refusal inside" => Err(Inside(refusal()))?,
            "boxed refusal inside, permanently" => {
                Err(Box::<dyn StdError>::from(Inside(refusal()))).or_permanent()?
            }
            "fail, boxed refusal inside" => fail!(Box::<dyn StdError>::from(Inside(refusal()))),
            "failure" => Err(Failure::new("kept")).or_permanent()?,
            "missing" => None.ok_or("no such order").or_permanent()?,
            "fail" => fail!("failed: {way}, {}", 1),
            "fail, permanently" => fail!(permanent, "failed: {way}"),
            "fail, error" => fail!(anyhow::anyhow!("inner").context("outer")),
            "fail, refusal" => fail!(anyhow::Error::new(refusal())),
            "fail, permanent error" => fail!(permanent, anyhow::anyhow!("inner").context("outer")),
            other => panic!("{other}"),
        })
    }
}

#[service(name = "failures.anyhow")]
async fn of_anyhow(_: &Context) -> anyhow::Result<u64> {
    with_causes()
}

#[service(name = "failures.box")]
async fn of_box(_: &Context) -> Result<u64, Box<dyn StdError>> {
    boxed()
}

#[service(name = "failures.shared-box")]
async fn of_shared_box(_: &Context) -> Result<u64, Box<dyn StdError + Send + Sync>> {
    shared()
}

#[service(name = "failures.string")]
async fn of_string(_: &Context) -> Result<u64, String> {
    Err("a text".to_owned())
}

#[service(name = "failures.str")]
async fn of_str(_: &Context) -> Result<u64, &'static str> {
    Err("a text")
}

#[service(name = "failures.own")]
async fn of_own(_: &Context) -> Result<u64, Refused> {
    Err(Refused)
}

#[service(name = "failures.call")]
async fn of_call(_: &Context) -> Result<u64, CallError> {
    Err(refusal())
}

#[service(name = "failures.boxed-call")]
async fn of_boxed_call(_: &Context) -> Result<u64, Box<dyn StdError + Send + Sync>> {
    Err(refusal().into())
}

#[service(name = "failures.anyhow-call")]
async fn of_anyhow_call(_: &Context) -> anyhow::Result<u64> {
    Err(refusal())?
}

#[service(name = "failures.anyhow-call-with-context")]
async fn of_anyhow_call_with_context(_: &Context) -> anyhow::Result<u64> {
    Err(refusal()).context("asking").context("pricing")
}

#[service(name = "failures.anyhow-busy")]
async fn of_anyhow_busy(_: &Context) -> anyhow::Result<u64> {
    Err(CallError::Full { waiting: 1, bytes: 1 })?
}

#[service(name = "failures.boxed-call-inside")]
async fn of_boxed_call_inside(_: &Context) -> Result<u64, Box<dyn StdError>> {
    Err(Box::new(Inside(refusal())))
}

#[service(name = "failures.declines")]
async fn declines(_: &Context) -> Result<u64> {
    Err(Failure::permanent("declined").code("card.declined"))
}

/// Fails as a synchronous call does, through `anyhow`.
#[service(name = "failures.anyhow-nested")]
async fn of_anyhow_nested(ctx: &Context) -> anyhow::Result<u64> {
    ctx.invoke(declines::service(), ()).await.context("charging")
}

/// How an invocation fails: the text of its outcome, and whether that is permanent.
async fn ended(service: &Registration, request: impl serde::Serialize) -> (String, bool) {
    let runtime = builder().services([*service]).start().await.unwrap();
    let outcome =
        runtime.outcome(runtime.invoke_async(service.name(), request).await.unwrap()).await.unwrap();
    finish(&runtime).await.unwrap();
    let Outcome::Failed(ending) = outcome else { panic!("{}: {outcome}", service.name()) };
    (ending.error.to_string(), ending.permanent)
}

#[tokio::test(start_paused = true)]
async fn a_handler_fails_with_errors_of_every_kind() {
    let causes = "pricing: reading the rates: disk on fire";
    let refusal = refusal().to_string();
    let inside = format!("the order was not placed: {refusal}");
    for (way, text, is_permanent) in [
        ("anyhow", causes, false),
        ("anyhow, permanently", causes, true),
        ("box", "not shared", true),
        ("shared box", "boxed text", true),
        ("String", "String", true),
        ("&str", "a text", false),
        ("std error", "invalid digit found in string", true),
        ("refusal", &refusal, true),
        ("refusal, again", &refusal, false),
        ("boxed refusal", &refusal, false),
        ("failure", "kept", true),
        ("missing", "no such order", true),
        ("fail", "failed: fail, 1", false),
        ("fail, permanently", "failed: fail, permanently", true),
        ("fail, error", "outer: inner", false),
        ("fail, refusal", &refusal, true),
        ("refusal inside", &inside, true),
        ("boxed refusal inside, permanently", &inside, true),
        ("fail, boxed refusal inside", &inside, true),
        ("fail, permanent error", "outer: inner", true),
    ] {
        let (error, permanent) = ended(&Handler::service().erased(), way).await;
        assert_eq!(permanent, is_permanent, "{way}: {error}");
        let expected = if is_permanent { text.to_owned() } else { format!("{text} (attempt 2 of 2)") };
        assert_eq!(error, expected, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_function_returns_errors_of_every_kind() {
    let refusal = refusal().to_string();
    let (inside, with_context) =
        (format!("the order was not placed: {refusal}"), format!("pricing: asking: {refusal}"));
    for (service, text, is_permanent) in [
        (of_anyhow::service().erased(), "pricing: reading the rates: disk on fire", false),
        (of_box::service().erased(), "not shared", false),
        (of_shared_box::service().erased(), "boxed text", false),
        (of_string::service().erased(), "a text", false),
        (of_str::service().erased(), "a text", false),
        (of_own::service().erased(), "refused", true),
        (of_call::service().erased(), &refusal, true),
        (of_boxed_call::service().erased(), &refusal, true),
        (of_boxed_call_inside::service().erased(), &inside, true),
        (of_anyhow_call::service().erased(), &refusal, true),
        (of_anyhow_call_with_context::service().erased(), &with_context, true),
        (of_anyhow_busy::service().erased(), "the engine is full", false),
    ] {
        let (error, permanent) = ended(&service, ()).await;
        assert_eq!(permanent, is_permanent, "{}: {error}", service.name());
        assert!(error.starts_with(text), "{}: {error}", service.name());
    }
}

/// What a synchronous call failed with is what its caller fails with, also where `anyhow` carries it.
#[tokio::test(start_paused = true)]
async fn anyhow_carries_the_code_of_a_call_that_failed() {
    let services = [of_anyhow_nested::service().erased(), declines::service().erased()];
    let runtime = builder().services(services).start().await.unwrap();
    let cid = runtime.invoke_async(of_anyhow_nested::service(), ()).await.unwrap();
    let outcome = runtime.outcome(cid).await.unwrap();
    finish(&runtime).await.unwrap();
    let Outcome::Failed(ending) = outcome else { panic!("{outcome}") };
    assert_eq!((ending.permanent, ending.code()), (true, Some("card.declined")), "{}", ending.error);
}
