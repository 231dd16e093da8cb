//! Ctrl-C and SIGTERM: the first asks to finish, the second stops.

use std::future::pending;

use tokio::signal::ctrl_c;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};

use crate::engine;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::words::shown;

/// Shuts the runtime down when the program is asked to stop, and resolves when that is done. What is then left
/// has been cancelled without further word, or is kept for the next process.
pub(super) async fn drained(runtime: &Runtime) -> Result<(), Error> {
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

/// Resolves when the program is asked to stop.
pub(super) async fn asked() {
    tokio::select! {
        () = interrupted() => {}
        () = terminated() => {}
    }
}

async fn interrupted() {
    if ctrl_c().await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(unix)]
async fn terminated() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(_) => pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    pending().await
}
