//! Another program holds the file locked, as a person with `sqlite3` may: look-ups are answered, calls and a start wait.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zato_core::{Context, Failure, Result, service};
use zato_runtime::{Error, Filter, InvocationInfo, Runtime, Status, StatusFilter};

use crate::builder::directory;

/// For longer than the engine waits for a lock at once: its writer has failed by then, and tries again.
const LOCKED: Duration = Duration::from_millis(2_500);

/// Who has no answer after so long has none for ever.
const STUCK: Duration = Duration::from_mins(1);

#[service(name = "locked.fails")]
async fn fails(_: &Context, (): ()) -> Result<()> {
    Err(Failure::permanent("of no use"))
}

async fn start(path: &Path) -> Result<Runtime, Error> {
    let engine = format!("sqlite:{}", path.display());
    Runtime::builder().engine(engine).services([fails::service().erased()]).start().await
}

/// Another program that has begun to write, and has not come to an end.
fn lock(path: &Path) -> Connection {
    let other = Connection::open(path).expect("it opens");
    other.busy_timeout(STUCK).expect("it can be set");
    other.execute_batch("BEGIN IMMEDIATE").expect("the file is free now and then");
    other
}

async fn answered<T>(what: &str, look: impl Future<Output = T>) -> T {
    timeout(STUCK, look).await.unwrap_or_else(|_| panic!("{what} has no answer"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn look_ups_are_answered_and_calls_wait() -> Result<(), Error> {
    let directory = directory();
    let path = directory.path().join("zato.db");
    let runtime = start(&path).await?;
    let done = runtime.invoke_async("zato.helpers.echo", "x").await?;
    assert!(runtime.outcome(done).await?.is_completed());
    let dead = runtime.invoke_async(fails::service(), ()).await?;
    assert!(!runtime.outcome(dead).await?.is_completed());

    let other = lock(&path);
    let (begun, caller) = (Instant::now(), runtime.clone());
    let call = tokio::spawn(async move { caller.invoke_async("zato.helpers.echo", "y").await });
    let mut looks = 0;
    while begun.elapsed() < LOCKED {
        let found = answered("find", runtime.find(done)).await?.expect("it is held");
        assert!(matches!(found.status, Status::Ended { .. }), "{found:?}");
        assert!(answered("outcome", runtime.outcome(done)).await?.is_completed());
        let listed = answered("list", runtime.list(Filter::new().stage(StatusFilter::Dead))).await?;
        assert_eq!(listed.iter().map(InvocationInfo::cid).collect::<Vec<_>>(), [dead]);
        assert_eq!(answered("tree", runtime.tree(done)).await?.len(), 1);
        let page = answered("explain", runtime.explain(dead).into_future()).await?.to_string();
        assert!(page.contains("of no use"), "{page}");
        looks += 1;
    }
    println!("{looks} looks");
    assert!(!call.is_finished(), "no receipt is given while nothing can be written, and no error");
    other.execute_batch("ROLLBACK").expect("it ends");
    let cid = answered("the call", call).await.expect("it does not panic")?;
    assert!(answered("its outcome", runtime.outcome(cid)).await?.is_completed());
    runtime.shutdown().await
}

/// What has ended and could not be recorded yet is not shown as ended: another process may have to run it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_shown_when_it_is_recorded() -> Result<(), Error> {
    #[service(name = "locked.waits")]
    async fn waits(_: &Context, (): (), go_on: &Arc<Semaphore>) -> Result<()> {
        drop(go_on.acquire().await?);
        Ok(())
    }

    let directory = directory();
    let path = directory.path().join("zato.db");
    let go_on = Arc::new(Semaphore::new(0));
    let builder = Runtime::builder().engine(format!("sqlite:{}", path.display()));
    let runtime = builder.services([waits::service().erased()]).provide(go_on.clone()).start().await?;
    let cid = runtime.invoke_async(waits::service(), ()).await?;
    while !matches!(runtime.find(cid).await?.expect("it is held").status, Status::Running { .. }) {
        tokio::task::yield_now().await;
    }
    let other = lock(&path);
    go_on.add_permits(1);
    let begun = Instant::now();
    while begun.elapsed() < LOCKED {
        let found = answered("find", runtime.find(cid)).await?.expect("it is held");
        assert!(matches!(found.status, Status::Running { .. }), "{found:?}");
        let listed = answered("list", runtime.list(Filter::new().stage(StatusFilter::Running))).await?;
        assert_eq!(listed.len(), 1);
    }
    other.execute_batch("ROLLBACK").expect("it ends");
    assert!(answered("its outcome", runtime.outcome(cid)).await?.is_completed());
    let found = runtime.find(cid).await?.expect("it is held");
    assert!(matches!(found.status, Status::Ended { .. }), "{found:?}");
    runtime.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_a_lock() -> Result<(), Error> {
    let directory = directory();
    let path = directory.path().join("zato.db");
    start(&path).await?.shutdown().await?;
    let (say, locked) = channel();
    let other = {
        let path = path.clone();
        std::thread::spawn(move || {
            let other = lock(&path);
            say.send(()).expect("somebody listens");
            std::thread::sleep(LOCKED);
            other.execute_batch("ROLLBACK").expect("it ends");
        })
    };
    locked.recv().expect("it is locked");
    let runtime = start(&path).await?;
    other.join().expect("it does not panic");
    runtime.shutdown().await
}
