//! How a test's bus begins: on the engine that `ZATO_TEST_ENGINE` names, `memory` unless told, or `sqlite` with a file
//! of its own.

use std::cell::RefCell;
use std::env;
use std::path::Path;
use std::time::Duration;

use zato_runtime::{Builder, Error, Filter, InvocationInfo, Runtime, Status, WaitReason};

thread_local! {
    /// The directories of this test, which go with it.
    static KEPT: RefCell<Vec<tempfile::TempDir>> = const { RefCell::new(Vec::new()) };
}

/// Whether the tests run on an engine that keeps what it holds.
pub(crate) fn is_durable() -> bool {
    match env::var("ZATO_TEST_ENGINE").as_deref() {
        Err(_) | Ok("memory") => false,
        Ok("sqlite") => true,
        Ok(other) => panic!("ZATO_TEST_ENGINE is `{other}`, and may be `memory` or `sqlite`"),
    }
}

/// A directory that goes with what is returned; in memory where there is such a place: it is not the disk that is tried.
pub(crate) fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}

/// The URL of an engine that keeps what it holds in a file that goes with the test.
pub(crate) fn durable() -> String {
    let directory = directory();
    let file = directory.path().join("zato.db");
    KEPT.with_borrow_mut(|kept| kept.push(directory));
    format!("sqlite:{}", file.display())
}

/// Settings for a bus of a test.
pub(crate) fn builder() -> Builder {
    if is_durable() { Runtime::builder().engine(durable()) } else { Runtime::builder() }
}

/// Has all that is under way come to its end, and what is called meanwhile: by the shutdown of a bus that finishes what
/// waits, or by waiting for it where that leaves it to the next process.
pub(crate) async fn finish(runtime: &Runtime) -> Result<(), Error> {
    if !is_durable() {
        return runtime.shutdown().await;
    }
    let mut seen = Vec::new();
    loop {
        // A look may miss what is called while it is taken. Where all has ended, the next one sees that.
        let found = runtime.list(Filter::new().limit(usize::MAX)).await?;
        let goes_on = |found: &&InvocationInfo| match &found.status {
            Status::Waiting(waits) => {
                !matches!(waits, WaitReason::Resume | WaitReason::Host | WaitReason::Restart)
            }
            status => !matches!(status, Status::Ended { .. }),
        };
        let under_way: Vec<_> = found.iter().filter(goes_on).map(InvocationInfo::cid).collect();
        let all: Vec<_> = found.iter().map(InvocationInfo::cid).collect();
        if under_way.is_empty() && all == seen {
            return Ok(());
        }
        seen = all;
        for cid in under_way {
            match runtime.outcome(cid).await {
                // It has been swept since.
                Ok(_) | Err(Error::NotHeld(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits until no more than so many are held, or for so long that they are not swept at all. On disk what is held is
/// counted in the background when a bus starts, and nothing is swept before it is.
pub(crate) async fn swept(runtime: &Runtime, most: usize) -> Result<(), Error> {
    for _ in 0..10_000 {
        if runtime.list(Filter::new().limit(most + 1)).await?.len() <= most {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
