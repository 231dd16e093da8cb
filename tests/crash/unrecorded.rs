//! A synchronous call from outside whose end cannot be written: its caller receives an error where the file fails, and waits
//! where the disk is full.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use zato_core::{CallError, Context, service};
use zato_runtime::{Error, Runtime};

use crate::place::Place;
use crate::process::Living;
use crate::shim::{EIO, ENOSPC, EVER, Fault, Kind, Shim};

/// The role of a child whose file fails.
pub(crate) const ROLE: &str = "unrecorded";

/// How long anything in it may take.
const STUCK: Duration = Duration::from_secs(30);

/// How long the child may take.
const LONG: Duration = Duration::from_mins(2);

/// Says that the handler runs, and lets it return.
#[derive(Debug, Clone, Default)]
struct Gate {
    runs: Arc<Notify>,
    opens: Arc<Notify>,
}

#[service(name = "crash.gate")]
async fn gate(_: &Context, text: String, gate: &Gate) -> zato_core::Result<String> {
    gate.runs.notify_one();
    gate.opens.notified().await;
    Ok(text)
}

/// Plays the role, on the store at `path`.
pub(crate) fn run(path: &Path) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    tokio.expect("tokio starts").block_on(lives(path, &Shim::of_this_process())).expect("all is well");
}

async fn lives(path: &Path, shim: &Shim) -> Result<(), Error> {
    let gate = Gate::default();
    let runtime = Runtime::builder()
        .engine(format!("sqlite:{}", path.display()))
        .services([gate::service().erased()])
        .provide(gate.clone())
        .start()
        .await?;
    runtime.invoke("zato.helpers.echo", "all is well").await?;
    for (kind, error) in [(Kind::Sync, EIO), (Kind::Write, ENOSPC)] {
        let call = tokio::spawn({
            let runtime = runtime.clone();
            async move { runtime.invoke(gate::service(), "done").await }
        });
        gate.runs.notified().await;
        shim.fail(Fault { kind, first: shim.count(kind) + 1, calls: EVER, error, is_torn: false });
        gate.opens.notify_one();
        if error == EIO {
            let answer =
                timeout(STUCK, call).await.expect("it is answered").expect("the caller does not panic");
            let Err(CallError::Store { cid: Some(cid), .. }) = answer else { panic!("{answer:?}") };
            shim.mend();
            // It is written later.
            let outcome = timeout(STUCK, runtime.outcome(cid)).await.expect("it is written")?;
            assert!(outcome.is_completed(), "{outcome}");
        } else {
            while shim.hits() == 0 {
                tokio::task::yield_now().await;
            }
            assert!(!call.is_finished(), "it waits for room");
            shim.mend();
            let answer =
                timeout(STUCK, call).await.expect("it is answered").expect("the caller does not panic");
            assert_eq!(answer?, "done");
        }
    }
    timeout(STUCK, runtime.shutdown()).await.expect("it ends")
}

#[test]
fn a_caller_whose_call_cannot_be_recorded_is_answered() {
    let (place, shim) = (Place::new(), Shim::new());
    let mut command = place.command(ROLE);
    place.watch(&shim, &mut command);
    let status = Living::spawn(command).and_then(|living| living.ends(LONG)).expect("the child lives");
    assert!(status.success(), "{status}\n{}", place.errors());
}
