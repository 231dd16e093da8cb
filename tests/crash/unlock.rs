//! A lock that cannot be given back once: what waits for it goes on.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use zato_runtime::{Error, Filter, Runtime};

use crate::place::Place;
use crate::process::Living;
use crate::shim::{EIO, Fault, Kind, Shim};

/// The role of a child whose system does not give a lock back.
pub(crate) const ROLE: &str = "unlock";

/// How many unlocks fail, one in each round.
const FAULTS: u64 = 12;

/// SQLite tries for ten seconds to get what this process could not give back, and for one where the engine says so.
const LIMIT: Duration = Duration::from_secs(5);

/// How long the child may take.
const LONG: Duration = Duration::from_mins(4);

/// Plays the role, on the store at `path`.
pub(crate) fn run(path: &Path) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    tokio.expect("tokio starts").block_on(lives(path, &Shim::of_this_process())).expect("all is well");
}

/// One store for each fault: two that fail may leave a lock that keeps another from being freed.
async fn lives(path: &Path, shim: &Shim) -> Result<(), Error> {
    for ahead in 1..=FAULTS {
        let engine = format!("sqlite:{}", path.with_file_name(format!("{ahead}.db")).display());
        let runtime = Runtime::builder().engine(engine).services([]).start().await?;
        let done = runtime.invoke_async("zato.helpers.echo", "x").await?;
        runtime.outcome(done).await?;
        runtime.list(Filter::new()).await?;
        let first = shim.count(Kind::Unlock) + ahead;
        shim.fail(Fault { kind: Kind::Unlock, first, calls: 1, error: EIO, is_torn: false });
        let mut longest = Duration::ZERO;
        let mut took = |begun: Instant| longest = longest.max(begun.elapsed());
        for _ in 0..8 {
            let begun = Instant::now();
            let cid = runtime.invoke_async("zato.helpers.echo", "x").await?;
            took(begun);
            let begun = Instant::now();
            runtime.outcome(cid).await?;
            took(begun);
            let begun = Instant::now();
            runtime.find(done).await?;
            took(begun);
            let begun = Instant::now();
            runtime.list(Filter::new()).await?;
            took(begun);
        }
        assert!(shim.count(Kind::Unlock) >= first, "unlock {ahead} was not reached");
        eprintln!("unlock {ahead}: {longest:?}");
        assert!(longest < LIMIT, "unlock {ahead}: {longest:?}");
        shim.mend();
        timeout(LONG, runtime.shutdown()).await.expect("it ends")?;
    }
    Ok(())
}

#[test]
fn one_unlock_that_fails_is_left_behind() {
    let (place, shim) = (Place::new(), Shim::new());
    let mut command = place.command(ROLE);
    place.watch(&shim, &mut command);
    shim.wait_as_long_as_asked();
    let status = Living::spawn(command).and_then(|living| living.ends(LONG)).expect("the child lives");
    println!("{}", place.errors());
    assert!(status.success(), "{status}\n{}", place.errors());
}
