//! A disk that is full keeps calls waiting, and nobody who only looks.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use zato_runtime::{Error, Filter, Runtime};

use crate::small_disk::SmallDisk;

/// Twice what all of the calls need, in the log and in the file.
const KIB: usize = 32_768;

/// So much is left when the calls begin: less than they need, and more than a few of them do.
const LEFT: usize = 2_048;

/// More than there is room for.
const CALLS: usize = 64;

/// For so long it is looked while the disk is full.
const FULL: Duration = Duration::from_millis(1_500);

/// Who has no answer after so long has none for ever.
const STUCK: Duration = Duration::from_mins(1);

async fn answered<T>(what: &str, look: impl Future<Output = T>) -> T {
    timeout(STUCK, look).await.unwrap_or_else(|_| panic!("{what} has no answer"))
}

async fn fills_up(disk: &SmallDisk) -> Result<(), Error> {
    let engine = format!("sqlite:{}", disk.path().join("zato.db").display());
    let runtime = Runtime::builder().engine(engine).disk_reserve(0).services([]).start().await?;
    let done = runtime.invoke_async("zato.helpers.echo", "x").await?;
    assert!(runtime.outcome(done).await?.is_completed());
    disk.fill(KIB, LEFT);
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let runtime = runtime.clone();
        let payload = "x".repeat(64 << 10);
        calls.push(tokio::spawn(async move { runtime.invoke_async("zato.helpers.echo", payload).await }));
    }
    let begun = Instant::now();
    while begun.elapsed() < FULL {
        assert!(answered("find", runtime.find(done)).await?.is_some());
        assert!(answered("outcome", runtime.outcome(done)).await?.is_completed());
        let listed = answered("list", runtime.list(Filter::new().limit(usize::MAX))).await?;
        assert!(listed.iter().any(|found| found.cid() == done));
        answered("tree", runtime.tree(done)).await?;
        answered("explain", runtime.explain(done).into_future()).await?;
    }
    assert!(calls.iter().any(|call| !call.is_finished()), "the disk is full");
    disk.clear();
    for call in calls {
        let cid = answered("a call", call).await.expect("it does not panic")?;
        assert!(answered("its outcome", runtime.outcome(cid)).await?.is_completed());
    }
    runtime.shutdown().await
}

#[test]
fn look_ups_are_answered_while_the_disk_is_full() {
    let Some(disk) = SmallDisk::mount(KIB) else {
        println!("not tried: this user may not mount a file system");
        return;
    };
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.expect("tokio starts");
    let lived = tokio.block_on(fills_up(&disk));
    // What is stuck is not waited for.
    tokio.shutdown_background();
    lived.expect("all is well");
}
