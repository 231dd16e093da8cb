//! The lines of the log: what was recorded, once, after it was recorded. A process of its own, because the engine's threads
//! log too.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that is not what it should be panics")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zato_core::{Cid, Context, Failure, Result, service};
use zato_runtime::{Error, Runtime};

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

impl Log {
    /// The lines that name a CID and contain a text.
    fn of(&self, cid: Cid, text: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().expect("no one panics").clone()).expect("UTF-8");
        let cid = format!("cid={cid}");
        log.lines().filter(|line| line.contains(&cid) && line.contains(text)).map(str::to_owned).collect()
    }

    fn contains(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.0.lock().expect("no one panics")).contains(text)
    }
}

/// Blocks the threads of handlers until the test lets go.
#[derive(Clone)]
struct Gate {
    begun: Sender<()>,
    open: Arc<Mutex<Receiver<()>>>,
}

impl Gate {
    fn pass(&self) -> Result<()> {
        self.begun.send(())?;
        Ok(self.open.lock().unwrap_or_else(PoisonError::into_inner).recv()?)
    }
}

/// Blocks its thread in its first attempt.
#[service(name = "log.blocks", max_attempts = 2, backoff = "1ms")]
async fn blocks(ctx: &Context, gate: &Gate) -> Result<u32> {
    if ctx.attempt() == 1 {
        gate.pass()?;
    }
    Ok(ctx.attempt())
}

/// Waits without a thread in its first attempt.
#[service(name = "log.waits", max_attempts = 2, backoff = "1ms", timeout = "100ms")]
async fn waits(ctx: &Context, gate: &Gate) -> Result<u32> {
    if ctx.attempt() == 1 {
        gate.begun.send(())?;
        std::future::pending::<()>().await;
    }
    Ok(ctx.attempt())
}

/// Fails in its first attempt.
#[service(name = "log.fails", max_attempts = 2, backoff = "1ms")]
async fn fails(ctx: &Context) -> Result<u32> {
    if ctx.attempt() == 1 { Err(Failure::new("not yet")) } else { Ok(ctx.attempt()) }
}

const RETRIED: &str = "will be retried";
const NOT_RETURNED: &str = "its handler still runs";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_says_what_was_recorded_and_comes_once() -> Result<(), Error> {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let directory = tempfile::tempdir().expect("a temporary directory");
    for engine in ["memory:".to_owned(), format!("sqlite:{}", directory.path().join("zato.db").display())] {
        let ((begun, has_begun), (opens, open)) = (channel(), channel());
        let gate = Gate { begun, open: Arc::new(Mutex::new(open)) };
        let services = [blocks::service().erased(), waits::service().erased(), fails::service().erased()];
        let builder = Runtime::builder().engine(&engine).services(services).provide(gate);
        let runtime = builder.start().await?;

        let fails = runtime.invoke_async(fails::service(), ()).await?;
        assert_eq!(runtime.outcome(fails).await?.to_string(), "Completed: 2");
        let lines = log.of(fails, RETRIED);
        assert!(
            lines.len() == 1 && lines[0].contains("service=\"log.fails\" attempt=1"),
            "{engine}: {lines:?}"
        );

        // Both threads are blocked while the limit of one that waits comes, and of one that blocks.
        let waits = runtime.invoke_async(waits::service(), ()).await?;
        has_begun.recv().expect("it begins");
        let blocks = runtime.invoke_async(blocks::service(), ()).timeout(Duration::from_millis(100)).await?;
        let beside = runtime.invoke_async(blocks::service(), ()).await?;
        for _ in 0..2 {
            has_begun.recv().expect("it begins");
        }
        while [waits, blocks].iter().any(|cid| log.of(*cid, RETRIED).is_empty()) {
            std::thread::yield_now();
        }
        for _ in 0..2 {
            opens.send(()).expect("they wait");
        }
        for cid in [waits, blocks] {
            assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: 2");
            let lines = log.of(cid, RETRIED);
            assert_eq!(lines.len(), 1, "{engine}: {lines:?}");
        }
        assert!(runtime.outcome(beside).await?.is_completed());
        assert_eq!(log.of(blocks, NOT_RETURNED).len(), 1, "{engine}: it blocked its thread");
        assert_eq!(log.of(waits, NOT_RETURNED).len(), 0, "{engine}: it only waited");
        assert_eq!(log.of(beside, NOT_RETURNED).len(), 0, "{engine}: it had no limit");
        runtime.shutdown().await?;
    }
    assert!(!log.contains("ERROR"), "all ended cleanly");
    Ok(())
}
