//! The workers of a runtime, and what they have in common.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::handlers::Own;
use super::idle::{Bell, Sleepers};
use super::parked::Seats;
use super::run_queue::Hands;
use crate::bus::core::Shared;

/// The most deliveries that a worker takes at once.
pub(crate) const MOST_AT_ONCE: usize = 32;

/// How long a worker that has nothing to do leaves alone what another has in hand.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1);

/// All workers of a runtime.
pub(crate) struct Workers {
    pub(crate) shared: Arc<Shared>,
    /// Which of the workers have nothing to do.
    pub(crate) sleepers: Arc<Sleepers>,
    /// How many workers there are; written when one is dropped.
    pub(super) live: AtomicUsize,
    /// What each of them has taken and not begun.
    pub(crate) hands: Hands,
    /// Where attempts wait for something.
    pub(crate) seats: Seats,
    /// Limits how many begins are recorded at once.
    pub(super) begins: Arc<Semaphore>,
    /// What attempts hold on to that are begun outside of a worker.
    pub(super) own: Own,
}

/// Lets whatever else waits for this thread run first: another worker that this one has woken, for one. Tokio keeps
/// that for this thread, where nobody else can take it, and a handler may block the thread; this one can be taken over
/// by another thread.
pub(crate) async fn step_aside() {
    let mut is_back = false;
    poll_fn(|cx| {
        if is_back {
            return Poll::Ready(());
        }
        is_back = true;
        Bell::is_heard_here();
        // Unlike `yield_now`, which keeps this from all other threads until this one has nothing else to do, and a
        // handler of another worker may block it before that.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
