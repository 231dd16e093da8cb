//! The program that `tests/cli` runs on a store: services that wait, run, fail and die as they are told.

use std::process::ExitCode;
use std::time::Duration;

use zato_core::{Context, Failure, Result, service};
use zato_runtime::Cid;

const HOUR: Duration = Duration::from_hours(1);

/// Resolves when the program shuts down, or when the invocation is cancelled.
async fn told_to_stop(ctx: &Context) {
    tokio::select! {
        () = ctx.shutting_down() => {}
        () = ctx.cancelled() => {}
    }
}

/// Runs until it is told to stop, and says when it does.
#[service(name = "probe.runs")]
async fn runs(ctx: &Context, says: String) -> Result<()> {
    println!("{says} runs as {}", ctx.cid());
    told_to_stop(ctx).await;
    println!("{says} was told to stop");
    Err(Failure::new("told to stop"))
}

/// Runs until it is told to stop, and completes then.
#[service(name = "probe.finishes")]
async fn finishes(ctx: &Context) -> Result<()> {
    println!("{} runs", ctx.cid());
    told_to_stop(ctx).await;
    println!("{} finished", ctx.cid());
    Ok(())
}

/// Runs for ever, whatever it is told.
#[service(name = "probe.deaf")]
async fn deaf(ctx: &Context) -> Result<()> {
    println!("{} runs", ctx.cid());
    std::future::pending().await
}

/// Has something run later: in an hour.
#[service(name = "probe.later")]
async fn later(ctx: &Context, text: String) -> Result<Cid> {
    Ok(ctx.invoke_async(prints::service(), text).delay(HOUR).await?)
}

/// Has something done twice under one key; the first is due in an hour.
#[service(name = "probe.keyed")]
async fn keyed(ctx: &Context, key: String) -> Result<()> {
    let first = ctx.invoke_async(prints::service(), "first".to_owned()).concurrency_key(key.as_str());
    first.delay(HOUR).await?;
    ctx.invoke_async(prints::service(), "second".to_owned()).concurrency_key(key).await?;
    Ok(())
}

/// Has three run later, together.
#[service(name = "probe.group")]
async fn group(ctx: &Context) -> Result<Cid> {
    Ok(ctx.fan_out([1, 2, 3].map(|number| (fails_first::service(), number))).await?)
}

/// Fails the first time, and is tried again in an hour.
#[service(name = "probe.fails-first", max_attempts = 2, backoff = "1h")]
async fn fails_first(_: &Context, _number: u32) -> Result<()> {
    Err(Failure::new("not\nyet"))
}

/// Fails for good, with a text that moves the cursor.
#[service(name = "probe.fails", formerly = ["probe.failed"])]
async fn fails(_: &Context, why: String) -> Result<()> {
    Err(Failure::permanent(format!("\u{1b}[31m{why}")))
}

/// Has a call with labels fail with a code.
#[service(name = "probe.labels")]
async fn labels(ctx: &Context) -> Result<Cid> {
    Ok(ctx.invoke_async(refuses::service(), ()).label("customer", "42").label("region", "eu").await?)
}

#[service(name = "probe.refuses")]
async fn refuses(_: &Context, (): ()) -> Result<()> {
    Err(Failure::permanent("nothing to charge").code("order.empty"))
}

/// Fails unless there is a file `told` in the working directory.
#[service(name = "probe.fails-unless-told")]
async fn fails_unless_told(_: &Context, _text: String) -> Result<()> {
    if std::fs::exists("told")? { Ok(()) } else { Err(Failure::permanent("nobody has told me")) }
}

/// Calls another.
#[service(name = "probe.calls")]
async fn calls(ctx: &Context) -> Result<Cid> {
    Ok(ctx.invoke_async("zato.ping", ()).await?)
}

/// Fails for good where the number is odd.
#[service(name = "probe.even")]
async fn even(_: &Context, number: u32) -> Result<u32> {
    if number.is_multiple_of(2) { Ok(number) } else { Err(Failure::permanent(format!("{number} is odd"))) }
}

/// Has twelve fail.
#[service(name = "probe.odds")]
async fn odds(ctx: &Context) -> Result<Cid> {
    Ok(ctx.fan_out((0..12).map(|number| (even::service(), 2 * number + 1))).await?)
}

/// Has another look at the number in the background.
#[service(name = "probe.asks-even")]
async fn asks_even(ctx: &Context, number: u32) -> Result<Cid> {
    Ok(ctx.invoke_async(even::service(), number).await?)
}

#[service(name = "probe.prints")]
async fn prints(_: &Context, text: String) -> Result<()> {
    println!("{text}");
    Ok(())
}

fn main() -> ExitCode {
    zato_runtime::main()
}
