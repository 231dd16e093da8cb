//! What a durable engine forgets: so many are kept, and its file does not grow for ever.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::runtime::Handle;
use tokio::time::sleep;
use zato_core::{Context, Result, service};
use zato_runtime::{Builder, Filter, Runtime, StatusFilter};

#[service(name = "retention.work")]
async fn work(_: &Context, text: String) -> Result<String> {
    if text.ends_with("77") { Err(zato_core::Failure::permanent("of no use")) } else { Ok(text) }
}

#[tokio::test]
async fn the_file_levels_off_under_constant_load() -> Result<(), zato_runtime::Error> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("zato.db");
    let runtime = Runtime::builder()
        .engine(format!("sqlite:{}", path.display()))
        .services([work::service().erased()])
        .keep_ended(500)
        .keep_dead(20)
        .start()
        .await?;
    let mut sizes = Vec::new();
    for round in 0..30_usize {
        let text = |number| format!("{}{:0>200}", "x".repeat(200), round * 200 + number);
        let answers = runtime.invoke_all((0..200_usize).map(|number| ("retention.work", text(number)))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 2);
        sizes.push(std::fs::metadata(&path).expect("it is there").len());
    }
    let count = async |stage| {
        Ok::<_, zato_runtime::Error>(runtime.list(Filter::new().stage(stage).limit(10_000)).await?.len())
    };
    let ended = count(StatusFilter::Ended).await?;
    assert!((500..=1_000).contains(&ended), "{ended} are kept");
    runtime.shutdown().await?;
    let size = std::fs::metadata(&path).expect("it is there").len();
    let kept_bytes = 1_000 * 1_200;
    assert!(size < 2 * kept_bytes, "{size} bytes for {ended}: {sizes:?}");
    Ok(())
}

/// How long what is tried here is kept.
const KEPT: Duration = Duration::from_hours(24);

/// How often the wall clock is looked at while something is due later.
const LOOKS_EVERY: Duration = Duration::from_secs(30);

/// A bus whose time of day begins now, also where it starts later.
fn builder(path: &Path) -> Builder {
    Runtime::builder()
        .engine(format!("sqlite:{}", path.display()))
        .services([work::service().erased()])
        .keep_ended_for(KEPT)
        .keep_dead_for(2 * KEPT)
        .keep_keys(KEPT * 3)
}

/// So many invocations, dead letters and idempotency keys stand in the file.
fn held(path: &Path) -> (u64, u64, u64) {
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it can be opened");
    let sql = "SELECT (SELECT count(*) FROM invocation), (SELECT count(*) FROM invocation WHERE state = 4),
                      (SELECT count(*) FROM idempotency)";
    file.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("it can be read")
}

/// More end than a step of a sweep looks at, seven of them as dead letters; more than a step forgets have keys.
async fn end_many(runtime: &Runtime) -> Result<(), zato_runtime::Error> {
    for number in 0..7 {
        let cid = runtime.invoke_async(work::service(), format!("{number}77")).await?;
        assert!(!runtime.outcome(cid).await?.is_completed());
    }
    for number in 0..300 {
        runtime.invoke_async(work::service(), "text").idempotency_key(number.to_string()).await?;
    }
    let answers = runtime.invoke_all((0..400).map(|_| ("retention.work", String::from("text")))).await;
    assert!(answers.iter().all(Result::is_ok));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_becomes_too_old_in_an_idle_process_is_forgotten() -> Result<(), zato_runtime::Error> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("zato.db");
    let runtime = builder(&path).start().await?;
    end_many(&runtime).await?;
    sleep(KEPT * 9 / 10).await;
    assert_eq!(held(&path), (707, 7, 300), "nothing is too old");
    sleep(KEPT / 5).await;
    assert_eq!(held(&path), (307, 7, 300), "dead letters are kept for longer, and so is what keys lead to");
    sleep(KEPT).await;
    assert_eq!(held(&path), (300, 0, 300), "keys are kept for longest, with what they lead to");
    sleep(KEPT).await;
    assert_eq!(held(&path), (0, 0, 0));
    runtime.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn what_has_become_too_old_while_nobody_was_there_is_forgotten_by_who_comes()
-> Result<(), zato_runtime::Error> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("zato.db");
    let next = builder(&path);
    let runtime = builder(&path).start().await?;
    end_many(&runtime).await?;
    runtime.shutdown().await?;
    sleep(4 * KEPT).await;
    assert_eq!(held(&path), (707, 7, 300), "a bus that is down forgets nothing");
    let runtime = next.start().await?;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(held(&path), (0, 0, 0));
    runtime.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn who_waits_to_forget_sleeps_until_then_and_ends_with_the_bus() -> Result<(), zato_runtime::Error> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("zato.db");
    let runtime = builder(&path).start().await?;
    let metrics = Handle::current().metrics();
    for number in 0..500 {
        runtime.invoke_async(work::service(), number.to_string()).delay(100 * KEPT).await?;
    }
    sleep(KEPT).await;
    let before = metrics.worker_park_count(0);
    sleep(5 * KEPT).await;
    let idle = metrics.worker_park_count(0) - before;
    // While something is due later the wall clock is looked at, and for nothing else. Tokio's wheel of timers takes up to
    // four turns of a thread for such a wait.
    let looks = 4 * 5 * KEPT.as_secs() / LOOKS_EVERY.as_secs();
    assert!(idle < looks + 10, "woken {idle} times where only what is delayed is held");

    end_many(&runtime).await?;
    let before = metrics.worker_park_count(0);
    sleep(5 * KEPT).await;
    let woken = metrics.worker_park_count(0) - before;
    assert!(woken < looks + 100, "woken {woken} times to forget three kinds in steps of some hundred");
    assert_eq!(held(&path), (500, 0, 0));

    runtime.shutdown().await?;
    drop(runtime);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(metrics.num_alive_tasks(), 0, "nothing goes on");
    println!("woken {idle} and {woken} times");
    Ok(())
}
