//! A system that has no more threads to give: a start says so, and what has started needs none.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;
use zato_runtime::{Error, Filter, Runtime};

use crate::place::Place;
use crate::process::Living;
use crate::shim::Shim;

/// The role of a child that has no more threads to get.
pub(crate) const ROLE: &str = "threads";

/// How many threads an engine starts.
const NEEDED: u64 = 4;

/// Who has no answer after so long has none for ever.
const STUCK: Duration = Duration::from_secs(30);

/// How long the child may take.
const LONG: Duration = Duration::from_mins(2);

async fn start(path: &Path) -> Result<Runtime, Error> {
    Runtime::builder().engine(format!("sqlite:{}", path.display())).services([]).start().await
}

/// Plays the role, on the store at `path`: there are so many more threads, one more each time.
pub(crate) fn run(path: &Path) {
    let shim = Shim::of_this_process();
    for flavor in ["of one thread", "of two"] {
        let mut builder = match flavor {
            "of two" => tokio::runtime::Builder::new_multi_thread(),
            _ => tokio::runtime::Builder::new_current_thread(),
        };
        shim.limit_threads(None);
        let tokio = builder.worker_threads(2).enable_all().build().expect("tokio starts");
        tokio.block_on(async {
            for threads in 0..NEEDED {
                shim.limit_threads(Some(threads));
                let refused = timeout(STUCK, start(path)).await.expect("a start has an answer");
                let text = refused.map(drop).expect_err("there are not enough threads").to_string();
                assert!(text.contains("zato-sqlite-") && text.contains("os error 11"), "{text}");
                assert!(text.contains(&*path.to_string_lossy()), "{text}");
            }
            shim.limit_threads(Some(NEEDED));
            timeout(STUCK, lives(path)).await.expect("all is answered").expect("all is well");
        });
    }
}

async fn lives(path: &Path) -> Result<(), Error> {
    let runtime = start(path).await?;
    let cid = runtime.invoke_async("zato.helpers.echo", "x").timeout("1m").await?;
    assert!(runtime.outcome(cid).await?.is_completed());
    assert!(runtime.find(cid).await?.is_some());
    assert!(!runtime.list(Filter::new()).await?.is_empty());
    assert_eq!(runtime.tree(cid).await?.len(), 1);
    assert_eq!(runtime.invoke("zato.helpers.echo", "y").await?.to_string(), "y");
    runtime.shutdown().await
}

#[test]
fn a_start_without_threads_is_refused_and_a_bus_that_has_its_threads_needs_no_more() {
    let (place, shim) = (Place::new(), Shim::new());
    let mut command = place.command(ROLE);
    place.watch(&shim, &mut command);
    let status = Living::spawn(command).and_then(|living| living.ends(LONG)).expect("the child lives");
    assert!(status.success(), "{status}\n{}", place.errors());
    assert!(shim.hits() >= 2 * NEEDED, "threads were refused");
}
