//! The three patterns of asynchronous invocation: without a callback, with one that the call names, and with one
//! that is found by its name.
//!
//! ```console
//! $ cargo run -p zato-examples --bin async_invoke
//! ```
//!
//! Expected output: `expected/async_invoke.txt`. The CIDs differ in every run.

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use zato_core::{Context, Result, Service, service};
use zato_runtime::Runtime;

/// Pattern 1: nobody is told of the response.
#[service]
struct NoCallback;

impl Service for NoCallback {
    type Request = String;
    type Response = ();

    async fn handle(&self, ctx: &Context, message: String) -> Result<()> {
        let cid = ctx.invoke_async("zato.helpers.input-logger", message).await?;
        tracing::info!(%cid, "received a CID");
        Ok(())
    }
}

/// Pattern 2: the call names the service that receives the response.
#[service]
struct ExplicitCallback;

impl Service for ExplicitCallback {
    type Request = String;
    type Response = ();

    async fn handle(&self, ctx: &Context, message: String) -> Result<()> {
        let cid = ctx.invoke_async("zato.helpers.echo", message).callback("my.callback").await?;
        tracing::info!(%cid, "received a CID");
        Ok(())
    }
}

/// Its name is given, so that others can name it.
#[service(name = "my.callback")]
struct MyCallback;

impl Service for MyCallback {
    type Request = String;
    type Response = ();

    async fn handle(&self, ctx: &Context, reply: String) -> Result<()> {
        log_reply(ctx, &reply);
        Ok(())
    }
}

/// Pattern 3: the call names no callback, and there is a service whose name is this one's with `AsyncCallback`.
#[service]
struct MyService;

impl Service for MyService {
    type Request = String;
    type Response = ();

    async fn handle(&self, ctx: &Context, message: String) -> Result<()> {
        let cid = ctx.invoke_async("zato.helpers.echo", message).await?;
        tracing::info!(%cid, "received a CID");
        Ok(())
    }
}

/// Receives every asynchronous reply to calls from `MyService` that name no callback.
#[service]
struct MyServiceAsyncCallback;

impl Service for MyServiceAsyncCallback {
    type Request = String;
    type Response = ();

    async fn handle(&self, ctx: &Context, reply: String) -> Result<()> {
        log_reply(ctx, &reply);
        Ok(())
    }
}

/// A callback runs under a CID of its own; `in_reply_to` is the one that its caller received.
fn log_reply(ctx: &Context, reply: &str) {
    let in_reply_to = ctx.in_reply_to().map(tracing::field::display);
    tracing::info!(cid = %ctx.cid(), in_reply_to, caller = ctx.caller(), reply, "{} received a reply", ctx.service());
}

// On one thread everything happens in the same order in every run.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), zato_runtime::Error> {
    log_to_stdout();
    for pattern in [NoCallback::NAME, ExplicitCallback::NAME, MyService::NAME] {
        tracing::info!("--- {pattern}");
        let runtime = Runtime::builder().start().await?;
        let cid = runtime.invoke_async(pattern, "Hello from async!").await?;
        // Waits for everything that the call causes, callbacks too.
        runtime.tree_ended(cid).await?;
        runtime.shutdown().await?;
    }
    Ok(())
}

/// Lines without time and colours, and without the span of each attempt, which would repeat the CIDs.
fn log_to_stdout() {
    let lines = tracing_subscriber::fmt::layer().without_time().with_ansi(false);
    let levels =
        Targets::new().with_default(Level::INFO).with_target("zato_runtime::dispatch", LevelFilter::OFF);
    tracing_subscriber::registry().with(lines).with(levels).init();
}
