//! The workers of a runtime, and what they share.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::handlers::WorkerHandlers;
use super::idle::{Idle, WorkerWaker};
use super::parked::ParkedAttempts;
use super::run_queue::RunQueues;
use crate::bus::core::BusCore;

/// The most deliveries that a worker takes at once.
pub(crate) const MOST_AT_ONCE: usize = 32;

/// The time for which an idle worker leaves the run queue of another alone.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1);

/// All workers of a runtime.
pub(crate) struct Workers {
    pub(crate) shared: Arc<BusCore>,
    /// Which of the workers have nothing to do.
    pub(crate) idle: Arc<Idle>,
    /// The number of workers. Written when one is dropped.
    pub(super) live: AtomicUsize,
    /// The deliveries that each worker has taken and not started.
    pub(crate) run_queues: RunQueues,
    /// The pending attempts.
    pub(crate) parked: ParkedAttempts,
    /// Limits the number of starts that are recorded at once.
    pub(super) begins: Arc<Semaphore>,
    /// The handlers for attempts that are begun outside of a worker.
    pub(super) own: WorkerHandlers,
}

/// Yields the thread to tasks that wait for it, as to a worker that this one has woken: tokio keeps that task for this thread,
/// and a handler may block the thread. Any thread may take this task meanwhile.
pub(crate) async fn yield_to_woken() {
    let mut is_back = false;
    poll_fn(|cx| {
        if is_back {
            return Poll::Ready(());
        }
        is_back = true;
        WorkerWaker::clear_woken();
        // `yield_now` would keep this task from all other threads until this one has nothing else to do.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
