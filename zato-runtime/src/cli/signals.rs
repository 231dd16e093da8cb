//! Ctrl-C and SIGTERM: the first asks the program to finish, the second stops it.

use std::sync::LazyLock;

#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::error::{CliError, Signal};
use super::terminal::say;
use crate::base::format::escaped;
use crate::engine;
use crate::runtime::error::Error;
use crate::runtime::handle::Runtime;

/// The requests to stop so far: their number, and the last one.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    times: u32,
    last: Option<Signal>,
}

/// The requests to stop. A process has its signals once, and so it has this once. Written by the tasks of [`listen`].
static ASKED: LazyLock<watch::Sender<Asked>> = LazyLock::new(watch::Sender::default);

/// Shuts the runtime down when the program is asked to stop, and resolves when that is done. What has not ended then is
/// kept for the next process, or was cancelled if the engine does not keep it. Fails when nothing can be recorded any more.
pub(super) async fn shutdown_on_signal(runtime: &Runtime) -> Result<(), Error> {
    tokio::select! {
        drained = serve_until_signal(runtime) => drained,
        fault = runtime.shared().engine.damaged() => Err(fault.into()),
    }
}

/// The same, however long nothing can be recorded.
pub(super) async fn serve_until_signal(runtime: &Runtime) -> Result<(), Error> {
    asked().await;
    say("stopping: running handlers may finish; ask again to stop at once");
    runtime.shutdown().await
}

/// The error for a command that is stopped before it has begun anything.
pub(super) fn before_anything(signal: Signal) -> CliError {
    CliError::Stopped { signal, what: "nothing was started".to_owned() }
}

/// Runs a function that may wait for input on a thread of its own, so that the first request to stop ends the wait.
///
/// # Errors
///
/// [`CliError::Stopped`] after such a request, [`CliError::NoThread`] if there is no thread.
pub(super) async fn unless_asked<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CliError> {
    let (send, done) = oneshot::channel();
    let run = move || {
        // Fails only where the program ends.
        let _ = send.send(read());
    };
    std::thread::Builder::new().name("zato-input".to_owned()).spawn(run).map_err(CliError::NoThread)?;
    tokio::select! {
        biased;
        Ok(done) = done => Ok(done),
        signal = asked() => Err(before_anything(signal)),
    }
}

/// The error for a program that stops at once, with what happens to the work that has not ended.
pub(super) fn at_once(signal: Signal, url: &str) -> CliError {
    let shown = escaped(url);
    let what = if engine::keeps(url) {
        format!(
            "unfinished invocations are kept in `{shown}` for the next process that runs on it; synchronous calls are \
             not kept"
        )
    } else {
        format!("unfinished invocations are lost, because `{shown}` keeps nothing")
    };
    CliError::Stopped { signal, what }
}

/// Listens from now on: later requests do not end the program by themselves, and none is missed.
pub(super) fn listen() {
    let asked = |signal| {
        ASKED.send_modify(|asked| {
            asked.times += 1;
            asked.last = Some(signal);
        });
    };
    #[cfg(unix)]
    for (kind, name) in
        [(SignalKind::interrupt(), Signal::Interrupt), (SignalKind::terminate(), Signal::Terminate)]
    {
        // A signal that cannot be listened to keeps its default action.
        let Ok(mut signals) = signal(kind) else { continue };
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                asked(name);
            }
        });
    }
    #[cfg(not(unix))]
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            asked(Signal::Interrupt);
        }
    });
}

/// The last signal that has asked the program to stop, if any has.
pub(super) fn signal_so_far() -> Option<Signal> {
    ASKED.borrow().last
}

/// Resolves when the program has been asked to stop.
pub(super) async fn asked() -> Signal {
    asked_times(1).await
}

/// Resolves when the program has been asked to stop once more.
pub(super) async fn asked_again() -> Signal {
    asked_times(2).await
}

async fn asked_times(least: u32) -> Signal {
    let mut requests = ASKED.subscribe();
    // The sender is never dropped, so this fails never.
    match requests.wait_for(|asked| asked.times >= least).await {
        Ok(asked) => asked.last.unwrap_or(Signal::Interrupt),
        Err(_) => std::future::pending().await,
    }
}
