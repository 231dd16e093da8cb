//! Ctrl-C and SIGTERM: the first asks to finish, the second stops.

use std::sync::LazyLock;

#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::engine;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::words::shown;

/// Shuts the runtime down when the program is asked to stop, and resolves when that is done. What is then left
/// has been cancelled without further word, or is kept for the next process. Fails when nothing can be recorded any more.
pub(super) async fn drained(runtime: &Runtime) -> Result<(), Error> {
    tokio::select! {
        drained = served(runtime) => drained,
        fault = runtime.shared().engine.damaged() => Err(fault.into()),
    }
}

/// The same, however long nothing can be recorded.
pub(super) async fn served(runtime: &Runtime) -> Result<(), Error> {
    asked().await;
    eprintln!("asked to stop: what runs is finished; asked once more, the program stops at once");
    runtime.shutdown().await
}

/// What becomes of what had not ended when the program stops at once.
pub(super) fn lost(url: &str) -> String {
    let url = shown(url);
    if engine::keeps(&url) {
        format!("what had not ended is kept in `{url}`, and goes on with the next process that runs on it")
    } else {
        format!("what had not ended is lost, since `{url}` keeps nothing")
    }
}

/// How often the program has been asked to stop. A process has its signals once, and so it has this.
static ASKED: LazyLock<watch::Sender<u32>> = LazyLock::new(|| watch::Sender::new(0));

/// Listens from now on: no request that comes later ends the program by itself, and none is missed.
pub(super) fn listen() {
    #[cfg(unix)]
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        // Where a signal cannot be listened to, it does what it does by itself.
        let Ok(mut asked) = signal(kind) else { continue };
        tokio::spawn(async move {
            while asked.recv().await.is_some() {
                ASKED.send_modify(|times| *times += 1);
            }
        });
    }
    #[cfg(not(unix))]
    tokio::spawn(async {
        while tokio::signal::ctrl_c().await.is_ok() {
            ASKED.send_modify(|times| *times += 1);
        }
    });
}

/// Resolves when the program has been asked to stop.
pub(super) async fn asked() {
    asked_times(1).await;
}

/// Resolves when the program has been asked to stop once more.
pub(super) async fn asked_again() {
    asked_times(2).await;
}

async fn asked_times(least: u32) {
    let _ = ASKED.subscribe().wait_for(|times| *times >= least).await;
}
