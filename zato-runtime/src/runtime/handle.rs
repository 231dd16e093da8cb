//! `Runtime`: starts, is called, and shuts down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use std::{fmt, panic, thread};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use zato_core::call::{Invoke, InvokeAsync};
use zato_core::target::{FromReply, ReplyOf, Target, Targets};
use zato_core::{Cancel, Chain, Cid, FanOut, InvokeAll, Outcome, Parallel};

use super::builder::Builder;
use super::error::Error;
use crate::attempt::dispatch;
use crate::base::lock::lock;
use crate::base::log_target;
use crate::bus::core::BusCore;
use crate::worker::idle::Idle;
use crate::worker::parked::Closer;
use crate::worker::pool::Workers;
use crate::worker::shutdown;
use crate::worker::shutdown::Left;

/// A running bus: cheap to clone, and shared between threads.
///
/// ```
/// use zato_runtime::Runtime;
///
/// # #[tokio::main] async fn main() -> Result<(), zato_runtime::Error> {
/// let runtime = Runtime::builder().services([]).start().await?;
/// let cid = runtime.invoke_async("zato.helpers.echo", "hello").await?;
/// let outcome = runtime.outcome(cid).await?;
/// assert_eq!(outcome.to_string(), "Completed: hello");
/// runtime.shutdown().await
/// # }
/// ```
///
/// The first [`shutdown`](Self::shutdown) ends it for all handles. When the last handle is dropped without one, the bus
/// shuts down in the background, and a warning says how many invocations it still held: at the end of `main` there is no
/// background any more, so await the shutdown there.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<BusCore>,
    parts: Arc<Parts>,
}

/// What a shutdown takes apart.
struct Parts {
    shared: Arc<BusCore>,
    tasks: Vec<AbortHandle>,
    /// Where attempts wait for something.
    parked: Closer,
    /// The tokio runtime that the bus was started on.
    tokio: Handle,
    /// When the one shutdown began; written by who begins it.
    began: OnceLock<Instant>,
    /// Set when the one shutdown begins.
    is_stopping: AtomicBool,
    /// Set by who ends it: the task that waits for the drain, or the thread that watches where every thread of tokio's
    /// is blocked.
    is_ending: AtomicBool,
    /// Held while it is ended, so that nobody says that it has ended before it has.
    ending: Mutex<()>,
    /// Turns true when it has ended.
    has_stopped: watch::Sender<bool>,
}

impl Builder {
    /// Checks the services, opens the engine and starts the workers on the tokio runtime of the caller.
    ///
    /// A program that is built with `panic = "abort"` logs a warning: a panic in a handler then ends the process.
    ///
    /// # Errors
    ///
    /// [`Error::Services`] with everything that is wrong with the linked services, [`Error::Engine`] if the
    /// engine cannot be opened, [`Error::NoTokio`] outside of tokio, [`Error::NoTimers`] where its timers are off.
    #[expect(clippy::unused_async, reason = "engines that open files or connections wait here")]
    pub async fn start(self) -> Result<Runtime, Error> {
        let tokio = Handle::try_current().map_err(|_| Error::NoTokio)?;
        if !has_timers() {
            return Err(Error::NoTimers);
        }
        let (shared, idle) = self.assemble(tokio.metrics().num_workers())?;
        if let Some(warning) = dispatch::UNCAUGHT {
            tracing::warn!(target: log_target::RUNTIME, "{warning}");
        }
        Ok(Runtime::run(Arc::new(shared), idle, tokio))
    }
}

/// Whether the tokio runtime of the caller has its timers on.
///
/// Tokio says so by a panic alone, whose text would stand before the error. So for the moment of the question a hook is in
/// place that leaves out the panics of this thread, and passes those of others on to the hook that was there.
fn has_timers() -> bool {
    /// One thread at a time asks, so that each puts back what it found.
    static ASKING: Mutex<()> = Mutex::new(());
    // A panic cannot be caught where it aborts, and hooks cannot be changed while another panic unwinds.
    if cfg!(panic = "abort") || thread::panicking() {
        return true;
    }
    let _asking = lock(&ASKING);
    let before = Arc::new(panic::take_hook());
    let (asks, others) = (thread::current().id(), before.clone());
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() != asks {
            others(info);
        }
    }));
    let has_timers = panic::catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok();
    drop(panic::take_hook());
    // Nobody else has it but a thread that panics right now.
    panic::set_hook(Arc::try_unwrap(before).unwrap_or_else(|before| Box::new(move |info| before(info))));
    has_timers
}

impl Runtime {
    /// Returns a builder of a runtime. By default it uses the memory engine and all linked services.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn run(shared: Arc<BusCore>, idle: Arc<Idle>, tokio: Handle) -> Self {
        let (tasks, parked) = Workers::start(&shared, idle);
        let parts = Parts {
            shared: shared.clone(),
            tasks,
            parked,
            tokio,
            began: OnceLock::new(),
            is_stopping: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            ending: Mutex::default(),
            has_stopped: watch::Sender::new(false),
        };
        Self { inner: Arc::new(Inner { shared, parts: Arc::new(parts) }) }
    }

    pub(crate) fn shared(&self) -> &Arc<BusCore> {
        &self.inner.shared
    }

    /// Invokes a service in the background and returns its CID at once; waits only where the engine is full.
    ///
    /// `target` is a name and `payload` anything that serializes, or `target` is a handle (`X::service()`) and
    /// `payload` its `Request`. There is no callback by convention, because the caller is not a service.
    ///
    /// # Errors
    ///
    /// When awaited: see [`InvokeAsync`].
    pub fn invoke_async<'a, T, P>(&'a self, target: T, payload: P) -> InvokeAsync<'a, T::Reply>
    where
        T: Target<'a, P>,
    {
        InvokeAsync::new(&*self.inner.shared, None, target.call(payload))
    }

    /// Runs a service and returns its response: the handle's `Response`, or a
    /// [`Payload`](zato_core::Payload) for a name. It takes its turn as every invocation does, and goes on if
    /// the caller stops waiting.
    ///
    /// A durable engine records it when it ends: it does not run again after the process has died, and whoever called it calls
    /// again. What its handler calls in the background is recorded at once. A shutdown finishes it, or ends it as `Cancelled`.
    ///
    /// # Errors
    ///
    /// When awaited: see [`Invoke`].
    pub fn invoke<'a, T, P>(&'a self, target: T, payload: P) -> Invoke<'a, T::Reply>
    where
        T: Target<'a, P>,
        T::Reply: FromReply,
    {
        Invoke::new(&*self.inner.shared, None, target.call(payload))
    }

    /// Invokes many services in the background and returns the CID of the group.
    ///
    /// # Errors
    ///
    /// When awaited: see [`Parallel`].
    pub fn parallel<'a, M, L: Targets<M>>(&'a self, targets: L) -> Parallel<'a>
    where
        L::Target: Target<'a, L::Payload>,
    {
        Parallel::new(&*self.inner.shared, None, targets)
    }

    /// Invokes many services in the background, and a final callback once, when all have ended, with every
    /// outcome. Returns the CID of the group.
    ///
    /// # Errors
    ///
    /// When awaited: see [`FanOut`].
    pub fn fan_out<'a, M, L: Targets<M>>(&'a self, targets: L) -> FanOut<'a>
    where
        L::Target: Target<'a, L::Payload>,
    {
        FanOut::new(&*self.inner.shared, None, targets)
    }

    /// Invokes services one after the other in the background, each with the response of the one before, and returns
    /// the CID of the chain. There is no callback by convention, because the caller is not a service.
    ///
    /// # Errors
    ///
    /// When awaited: see [`Chain`].
    pub fn chain<'a, T, P>(&'a self, target: T, payload: P) -> Chain<'a, T::Reply>
    where
        T: Target<'a, P>,
    {
        Chain::new(&*self.inner.shared, None, target, payload)
    }

    /// Runs many services at once and returns their responses, in the order given. Each takes its turn as every
    /// invocation does.
    ///
    /// # Errors
    ///
    /// Call by call, when awaited: see [`InvokeAll`].
    pub fn invoke_all<'a, M, L: Targets<M>>(&'a self, targets: L) -> InvokeAll<'a, ReplyOf<'a, M, L>>
    where
        L::Target: Target<'a, L::Payload>,
        ReplyOf<'a, M, L>: FromReply,
    {
        InvokeAll::new(&*self.inner.shared, None, targets)
    }

    /// Waits for the outcome of an invocation; at once if it has ended.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`] if the engine does not hold it: the memory engine remembers the last 10,000 that
    /// ended, or 64 MiB of them. [`Error::Store`] if what it keeps cannot be read.
    pub async fn outcome(&self, cid: Cid) -> Result<Outcome, Error> {
        self.inner.shared.engine.outcome(cid).await?.ok_or(Error::NotHeld(cid))
    }

    /// Cancels an invocation: one that waits ends at once, and one that runs is asked to stop and has a grace period to end
    /// ([`Builder::cancel_grace`](crate::Builder::cancel_grace)).
    ///
    /// # Errors
    ///
    /// When awaited: see [`Cancel`].
    pub fn cancel(&self, cid: Cid) -> Cancel<'_> {
        Cancel::new(&*self.inner.shared, None, cid)
    }

    /// Refuses calls from outside, lets running handlers finish, and returns.
    ///
    /// Handlers learn of it at once through [`Context::shutting_down`](zato_core::Context::shutting_down). Those that still
    /// run [`cancel_grace`](crate::Builder::cancel_grace) before the limit
    /// ([`drain_limit`](crate::Builder::drain_limit)) are asked to stop through
    /// [`Context::cancelled`](zato_core::Context::cancelled), and are dropped at the limit. An attempt that saw either and
    /// returned a retryable error does not count.
    ///
    /// An engine that keeps what it holds starts nothing more: what waits, retries included, is left for the next start. Calls of
    /// [`invoke`](Self::invoke) are not kept: it treats them as `memory:` does.
    /// `memory:` finishes what it can within the limit, retries and callbacks included, and ends the rest as `Cancelled`:
    /// shortly before the limit, so that failure callbacks still run.
    ///
    /// The shutdown goes on if the caller stops waiting. Another call waits for the first to return. In a handler it begins
    /// the shutdown and returns at once, because the shutdown waits for that handler.
    ///
    /// # Errors
    ///
    /// Returns no error at present.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.inner.parts.shutdown().await;
        Ok(())
    }
}

impl Parts {
    /// Stops at once and logs what was left, unless somebody else does; answers whether it did.
    fn end(&self) -> bool {
        if self.is_ending.swap(true, Ordering::SeqCst) {
            return false;
        }
        let _one_at_a_time = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        // The thread that watches limits is not a thread of tokio's, and what handlers drop may need tokio.
        let _on_tokio = self.tokio.enter();
        let shared = &self.shared;
        shared.attempts.close();
        let dropped = self.parked.close();
        shared.watch.close();
        self.tasks.iter().for_each(AbortHandle::abort);
        shutdown::abandon(shared);
        let (_, waiting) = shared.engine.load();
        shared.engine.close();
        let left = Left { cancelled: shared.given_up.load(Ordering::SeqCst), dropped, waiting };
        shutdown::log_end(shared, left, self.began.get().map(Instant::elapsed).unwrap_or_default());
        true
    }

    /// Shuts down on the tokio runtime that the bus was started on, from whichever runtime or thread it is called.
    async fn shutdown(self: &Arc<Self>) {
        self.begin_shutdown();
        if self.is_in_a_handler() {
            return;
        }
        // The sender lives in `self`, so this ends by the value alone.
        let _ = self.has_stopped.subscribe().wait_for(|has_stopped| *has_stopped).await;
    }

    /// Whether a handler of this bus makes the call: workers poll handlers in their own tasks.
    fn is_in_a_handler(&self) -> bool {
        let here = tokio::task::try_id();
        here.is_some_and(|here| self.tasks.iter().any(|task| task.id() == here))
    }

    /// Begins the shutdown, whether anybody waits for it or not.
    fn begin_shutdown(self: &Arc<Self>) {
        if !self.is_stopping.swap(true, Ordering::SeqCst) {
            let _ = self.began.set(Instant::now());
            // Made here, since a task that is dropped before its first step has run nothing.
            let stopping = Stopping(self.clone());
            self.tokio.spawn(async move {
                shutdown::drain(&stopping.0.shared).await;
                stopping.0.end();
            });
            let parts = self.clone();
            self.shared.watch.at_last(self.shared.config.drain_limit, move || {
                if parts.end() {
                    parts.has_stopped.send_replace(true);
                }
            });
        }
    }
}

/// A shutdown that is under way. One that is dropped before it has ended goes with the tokio runtime that it ran on, and so
/// do the workers.
struct Stopping(Arc<Parts>);

impl Drop for Stopping {
    fn drop(&mut self) {
        let parts = &self.0;
        let has_ended = parts.is_ending.swap(true, Ordering::SeqCst);
        // Whoever ends it has it locked until that is done.
        let one_at_a_time = parts.ending.lock().unwrap_or_else(PoisonError::into_inner);
        if !has_ended {
            parts.parked.close();
            shutdown::end_with_tokio(&parts.shared);
        }
        drop(one_at_a_time);
        parts.has_stopped.send_replace(true);
    }
}

/// The last handle is gone.
impl Drop for Inner {
    fn drop(&mut self) {
        let is_running = !self.parts.is_stopping.load(Ordering::SeqCst) && !self.shared.attempts.is_closed();
        let (running, waiting) = if is_running { self.shared.engine.load() } else { (0, 0) };
        let held = running + waiting;
        if held > 0 {
            let becomes = if self.shared.is_durable() {
                "waiting invocations are kept for the next start, and running ones finish if the tokio runtime keeps running"
            } else {
                "they finish in the background if the tokio runtime keeps running, and are lost otherwise"
            };
            tracing::warn!(target: log_target::RUNTIME,
                engine = self.shared.engine.url(),
                held,
                running,
                waiting,
                "the runtime was dropped without a shutdown, with invocations that had not ended: {becomes}; call \
                 `runtime.shutdown().await`, for example at the end of `main`"
            );
        }
        self.parts.begin_shutdown();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("engine", &self.inner.shared.engine.url()).finish_non_exhaustive()
    }
}
