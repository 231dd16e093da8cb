//! An engine that keeps a file has threads of its own: handlers may hold all blocking threads of their tokio runtime.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use zato_core::{Context, Result, service};
use zato_runtime::{Error, Filter, Runtime};

use crate::builder::durable;

/// How many blocking threads tokio has, and four times as many handlers.
const THREADS: usize = 4;
const HANDLERS: usize = 16;

/// Who has no answer after so long has none for ever.
const STUCK: Duration = Duration::from_mins(1);

/// Calls the bus from a blocking thread once all of them are held, and waits there for the receipt.
#[service(name = "own-threads.blocks")]
async fn blocks(ctx: &Context, (): (), all_are_held: &Arc<Barrier>) -> Result<()> {
    let (ctx, tokio, all_are_held) = (ctx.clone(), Handle::current(), all_are_held.clone());
    let call = move || {
        all_are_held.wait();
        tokio.block_on(async { ctx.invoke_async("zato.ping", ()).await })
    };
    spawn_blocking(call).await??;
    Ok(())
}

async fn start(engine: String) -> Result<Runtime, Error> {
    let builder = Runtime::builder().engine(engine).services([blocks::service().erased()]);
    builder.provide(Arc::new(Barrier::new(THREADS))).start().await
}

async fn all_are_answered() -> Result<(), Error> {
    let runtime = start(durable()).await?;
    let mut cids = Vec::new();
    for _ in 0..HANDLERS {
        cids.push(runtime.invoke_async(blocks::service(), ()).await?);
    }
    for cid in cids {
        assert!(runtime.outcome(cid).await?.is_completed());
    }
    runtime.shutdown().await
}

fn tokio() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).max_blocking_threads(THREADS).enable_all().build().expect("tokio starts")
}

#[test]
fn receipts_come_while_handlers_hold_all_blocking_threads() {
    let tokio = tokio();
    let answered = tokio.block_on(async { timeout(STUCK, all_are_answered()).await });
    // Threads that are stuck are not waited for.
    tokio.shutdown_background();
    answered.expect("nobody waits for ever").expect("all is well");
}

/// Everything that reads or writes the file goes on while no blocking thread is to be had.
#[test]
fn look_ups_and_a_shutdown_need_no_blocking_thread() {
    let tokio = tokio();
    let (release, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let answered = tokio.block_on(async {
        for _ in 0..THREADS {
            let wait = wait.clone();
            spawn_blocking(move || wait.lock().is_ok_and(|wait| wait.recv().is_ok()));
        }
        let asked = async {
            let runtime = start(durable()).await?;
            let cid = runtime.invoke_async("zato.helpers.echo", "x").await?;
            assert!(runtime.outcome(cid).await?.is_completed());
            assert_eq!(runtime.list(Filter::new()).await?.len(), 1);
            assert!(runtime.find(cid).await?.is_some());
            assert_eq!(runtime.tree(cid).await?.len(), 1);
            runtime.shutdown().await
        };
        timeout(STUCK, asked).await
    });
    drop(release);
    tokio.shutdown_background();
    answered.expect("nobody waits for ever").expect("all is well");
}
