//! What a damaged file does to those who wait for an outcome: they are told.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::timeout;
use zato_core::{CallError, Context, Failure, Result, service};
use zato_runtime::{Filter, Runtime};

#[service(name = "damage.fails")]
async fn fails(_: &Context, _text: String) -> Result<()> {
    Err(Failure::permanent("of no use"))
}

async fn bus(path: &Path) -> Result<Runtime, zato_runtime::Error> {
    let engine = format!("sqlite:{}", path.display());
    Runtime::builder().engine(engine).services([fails::service().erased()]).start().await
}

/// Overwrites the first page of an index.
fn damage(path: &Path, index: &str) {
    let file = Connection::open(path).expect("it opens");
    let sql = "SELECT (SELECT page_size FROM pragma_page_size) AS size, rootpage FROM sqlite_schema WHERE name = ?1";
    let (size, page): (usize, u64) =
        file.query_row(sql, [index], |row| Ok((row.get(0)?, row.get(1)?))).expect("there is such an index");
    file.close().expect("it closes");
    let file = OpenOptions::new().write(true).open(path).expect("it opens");
    file.write_all_at(&vec![0; size], (page - 1) * size as u64).expect("it is written");
}

#[tokio::test]
async fn who_waits_for_what_cannot_be_recorded_is_told() -> Result<(), zato_runtime::Error> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("zato.db");
    bus(&path).await?.shutdown().await?;
    // What is accepted and started has no place in it: what ends as a dead letter has.
    damage(&path, "invocation_dead");
    let runtime = bus(&path).await?;
    let cid = runtime.invoke_async("damage.fails", "x").await?;
    let told = timeout(Duration::from_mins(1), runtime.outcome(cid)).await.expect("it does not hang");
    let error = told.expect_err("it was not recorded").to_string();
    assert!(error.contains("is damaged") && error.contains("zato.db"), "{error}");
    // What is accepted now has no outcome either.
    let refused = [
        runtime.invoke_async("damage.fails", "x").await.expect_err("nothing is acknowledged"),
        runtime.invoke("damage.fails", "x").await.expect_err("nothing is acknowledged"),
        runtime.fan_out([("damage.fails", "x")]).await.expect_err("nothing is acknowledged"),
    ];
    for error in refused {
        assert!(matches!(error, CallError::Unavailable { .. }) && !error.is_permanent(), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("nothing has been recorded") && text.contains("is damaged"), "{text}");
    }
    assert_eq!(runtime.list(Filter::new()).await?.len(), 1, "they were not taken");
    // What is changed while that stands may be recorded or not.
    let error = runtime.pause("damage.fails").await.expect_err("it is not recorded");
    assert!(matches!(error, CallError::Store { .. }) && error.to_string().contains("is unknown"), "{error}");
    runtime.shutdown().await?;
    // What is asked of a bus that is closed is not done.
    let error = runtime.pause("damage.fails").await.expect_err("it is closed");
    assert!(
        matches!(error, CallError::Unavailable { .. }) && error.to_string().contains("is closed"),
        "{error}"
    );
    let error = runtime.outcome(cid).await.expect_err("it is closed").to_string();
    assert!(error.ends_with("is closed: its runtime was shut down, or has ended"), "{error}");
    Ok(())
}
