//! The span of an attempt. It has a process of its own, because what tracing knows of a place in the code it knows
//! for all threads.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that is not what it should be panics")]

use std::sync::{Arc, Mutex};

use zato_core::{Context, Result, service};
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
