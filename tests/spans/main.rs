//! The span of an attempt, and who listens to the log. A process of its own, because what tracing knows of a place in the code it knows
//! for all threads.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that is not what it should be panics")]

use std::sync::{Arc, Mutex};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{self, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};
use zato_core::{Context, Failure, Result, service};
use zato_runtime::{Error, Runtime};

#[service(name = "context.spans")]
async fn spans(ctx: &Context) -> Result<()> {
    tracing::info!("before");
    tokio::task::yield_now().await;
    tracing::info!("after");
    ctx.invoke("context.inner-span", ()).await?;
    Ok(())
}

#[service(name = "context.inner-span")]
async fn inner_span(_: &Context) -> Result<()> {
    tracing::info!("inside");
    Ok(())
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no one panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_attempt_runs_in_a_span_that_says_which_it_is() -> Result<(), Error> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let runtime = Runtime::builder()
        .services([spans::service().erased(), inner_span::service().erased()])
        .start()
        .await?;
    let cid = runtime.invoke_async(spans::service(), ()).await?;
    runtime.outcome(cid).await?;
    runtime.shutdown().await?;
    let log = String::from_utf8(log.0.lock().expect("no one panics").clone()).expect("UTF-8");
    let line = |text: &str| {
        log.lines()
            .find(|line| line.ends_with(text))
            .unwrap_or_else(|| panic!("`{text}` in {log}"))
            .to_owned()
    };
    for text in ["before", "after"] {
        let line = line(text);
        for field in
            [r#"service="context.spans""#, &format!("cid={cid}"), &format!("root={cid}"), "attempt=1"]
        {
            assert!(line.contains(field), "{field} in {line}");
        }
        assert!(!line.contains("in_reply_to"), "{line}");
    }
    let inside = line("inside");
    assert!(inside.contains(r#"service="context.inner-span""#), "{inside}");
    assert!(inside.contains(&format!("parent={cid}")), "{inside}");
    Ok(())
}

#[service(name = "context.fails")]
async fn fails(_: &Context) -> Result<()> {
    Err(Failure::permanent("it never works"))
}

/// Hears of errors, and panics.
struct Panics;

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        assert!(*event.metadata().level() != Level::ERROR, "the log is broken");
    }
}

/// Whoever writes to the disk logs, and goes on whatever a subscriber does.
#[tokio::test]
async fn a_log_that_panics_holds_nothing_up() -> Result<(), Error> {
    tracing::subscriber::set_global_default(Registry::default().with(Panics)).expect("the first");
    let directory = tempfile::tempdir().expect("a temporary directory");
    for engine in ["memory:".to_owned(), format!("sqlite:{}", directory.path().join("zato.db").display())] {
        let services = [fails::service().erased(), inner_span::service().erased()];
        let runtime = Runtime::builder().engine(&engine).services(services).start().await?;
        for _ in 0..3 {
            let failed = runtime.invoke_async(fails::service(), ()).await?;
            assert!(!runtime.outcome(failed).await?.is_completed(), "{engine}");
        }
        let next = runtime.invoke_async(inner_span::service(), ()).await?;
        assert!(runtime.outcome(next).await?.is_completed(), "{engine}");
        runtime.shutdown().await?;
    }
    Ok(())
}

#[service(name = "context.never")]
async fn never(_: &Context) -> Result<()> {
    std::future::pending().await
}

/// A program that ends without a shutdown says how much it still held, and what has become of that.
#[test]
fn a_runtime_that_is_dropped_with_work_says_how_much() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let durable = format!("sqlite:{}", directory.path().join("zato.db").display());
    for (engine, held, lost) in [
        ("memory:", "and are lost otherwise", "were ended as `Cancelled`"),
        (
            &*durable,
            "waiting invocations are kept for the next start",
            "invocations are kept for the next start",
        ),
    ] {
        log.0.lock().expect("no one panics").clear();
        let logged = || String::from_utf8(log.0.lock().expect("no one panics").clone()).expect("UTF-8");
        // As at the end of a `main` that `#[tokio::main]` has made.
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
        tokio.block_on(async {
            let services = [never::service().erased()];
            let runtime = Runtime::builder().engine(engine).services(services).max_running(2);
            let runtime = runtime.start().await.expect("it starts");
            for _ in 0..3 {
                runtime.invoke_async(never::service(), ()).await.expect("it is taken");
            }
        });
        let text = logged();
        assert!(text.contains("WARN") && text.contains("held=3"), "{engine}: {text}");
        assert!(text.contains("was dropped without a shutdown") && text.contains(held), "{engine}: {text}");
        drop(tokio);
        let text = logged();
        assert!(text.contains("the tokio runtime") && text.contains("ended"), "{engine}: {text}");
        assert!(text.contains(lost), "{engine}: {text}");
    }
    // One that is shut down says nothing.
    log.0.lock().expect("no one panics").clear();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    tokio.block_on(async {
        let runtime =
            Runtime::builder().services([inner_span::service().erased()]).start().await.expect("it starts");
        runtime.invoke_async(inner_span::service(), ()).await.expect("it is taken");
        runtime.shutdown().await.expect("it ends");
    });
    drop(tokio);
    let text = String::from_utf8(log.0.lock().expect("no one panics").clone()).expect("UTF-8");
    assert!(!text.contains("WARN") && !text.contains("ERROR"), "{text}");
}
