//! The services of this runtime that do what the shapes say. Each kind of target is a service of its own, so that no
//! handler pays for what another one does.

use zato_core::{Context, Payload, Registration, Result, fail, service};

use super::rounds::Rounds;
use super::shapes::{Does, MEMBERS, PLAIN, SLEEP, is_marked};

/// The callback of every call from outside.
pub(crate) const CALLBACK: &str = "shape.callback";

/// The name of the target that does this.
pub(crate) fn target(does: Does) -> &'static str {
    match does {
        Does::Responds => "shape.responds",
        Does::CallsInBackground => "shape.calls",
        Does::CallsSynchronously => "shape.invokes",
        Does::Sleeps => "shape.sleeps",
        Does::FailsOnce => "shape.fails",
        Does::CallsGroup => "shape.groups",
    }
}

/// The registrations of all of them.
pub(crate) fn all() -> Vec<Registration> {
    vec![
        responds::service().erased(),
        calls::service().erased(),
        invokes::service().erased(),
        sleeps::service().erased(),
        fails::service().erased(),
        groups::service().erased(),
        callback::service().erased(),
        beside::service().erased(),
        all_members::service().erased(),
    ]
}

#[service(name = "shape.responds")]
async fn responds(_: &Context, text: String) -> Result<String> {
    Ok(text)
}

#[service(name = "shape.calls")]
async fn calls(ctx: &Context, text: String) -> Result<String> {
    if is_marked(&text) {
        ctx.invoke_async("shape.responds", PLAIN).callback("shape.beside").await?;
    }
    Ok(text)
}

#[service(name = "shape.invokes")]
async fn invokes(ctx: &Context, text: String) -> Result<String> {
    if is_marked(&text) {
        let response = ctx.invoke("shape.responds", PLAIN).await?;
        return Ok(response.decode()?);
    }
    Ok(text)
}

#[service(name = "shape.sleeps")]
async fn sleeps(_: &Context, text: String) -> Result<String> {
    if is_marked(&text) {
        tokio::time::sleep(SLEEP).await;
    }
    Ok(text)
}

// The backoff is that of `shapes::BACKOFF`.
#[service(name = "shape.fails", max_attempts = 2, backoff = "1ms")]
async fn fails(ctx: &Context, text: String) -> Result<String> {
    if is_marked(&text) && ctx.attempt() == 1 {
        fail!("the first attempt fails");
    }
    Ok(text)
}

#[service(name = "shape.groups")]
async fn groups(ctx: &Context, text: String) -> Result<String> {
    if is_marked(&text) {
        ctx.fan_out([("shape.responds", PLAIN); MEMBERS]).on_final("shape.all-members").await?;
    }
    Ok(text)
}

#[service(name = "shape.callback")]
async fn callback(_: &Context, _text: String, rounds: &Rounds) -> Result<()> {
    rounds.end();
    Ok(())
}

#[service(name = "shape.beside")]
async fn beside(_: &Context, _text: String, rounds: &Rounds) -> Result<()> {
    rounds.end_beside();
    Ok(())
}

#[service(name = "shape.all-members")]
async fn all_members(_: &Context, _rows: Payload, rounds: &Rounds) -> Result<()> {
    rounds.end_beside();
    Ok(())
}
