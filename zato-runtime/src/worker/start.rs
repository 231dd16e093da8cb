//! The tasks of the workers and their loop.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::handlers::WorkerHandlers;
use super::idle::{Idle, WorkerWaker};
use super::parked::{Closer, ParkedAttempts};
use super::pool::{MOST_AT_ONCE, Workers, yield_to_woken};
use super::record_start;
use super::run_queue::RunQueues;
use super::shutdown;
use crate::bus::core::BusCore;

/// How much work a worker takes at once, as the time that it should need for it. More at once costs fewer
/// visits to the engine; less lets another worker take what origin behind a slow handler.
const TAKEN_AT_ONCE_NS: u64 = 20_000;

/// How long a worker goes on before it lets something else run on its thread.
const LONGEST_ROW: Duration = Duration::from_micros(100);

/// The most deliveries that a worker runs before it lets something else run on its thread: tokio's cooperative budget for
/// one poll of a task. To step aside wakes another thread of tokio's, which costs as much as several deliveries.
const MOST_IN_A_ROW: usize = 128;

/// From when on what a worker has run has taken long.
const LONG: Duration = Duration::from_millis(1);

/// After so many steps of tasks a busy thread of tokio's sees to timers and sockets, unless told otherwise
/// (`event_interval` of its builder).
const TOKIO_LOOKS_EVERY: usize = 61;

/// A worker that is dropped. Workers are dropped by a shutdown, or with the tokio runtime that they run on.
struct Alive(Arc<Workers>);

impl Drop for Alive {
    fn drop(&mut self) {
        let is_last = self.0.live.fetch_sub(1, Ordering::SeqCst) == 1;
        if is_last {
            shutdown::end_with_tokio(&self.0.shared);
        }
    }
}

impl Workers {
    /// Starts them on the tokio runtime of the caller.
    pub(crate) fn start(shared: &Arc<BusCore>, idle: Arc<Idle>) -> (Vec<AbortHandle>, Closer) {
        let count = idle.len();
        let workers = Arc::new(Self {
            shared: shared.clone(),
            live: AtomicUsize::new(count),
            parked: ParkedAttempts::new(&idle),
            idle,
            run_queues: RunQueues::new(count),
            begins: record_start::permits(count),
            own: WorkerHandlers::of(shared, None),
        });
        let (watcher, tokio) = (Arc::downgrade(&workers), Handle::current());
        let (ender, of_ender) = (watcher.clone(), tokio.clone());
        shared.watch.start(
            Arc::new(move |delivery, brings| {
                if let Some(workers) = watcher.upgrade() {
                    workers.end_overrun(&tokio, delivery, brings);
                }
            }),
            Arc::new(move || ender.upgrade()?.end_what_waits(&of_ender)),
        );
        let weak = Arc::downgrade(shared);
        shared.engine.on_ends(Arc::new(move |at| {
            if let Some(shared) = weak.upgrade() {
                shared.watch.ends_at(at);
            }
        }));
        let start = |worker| {
            // Made here, since a task that is dropped before its first step has run nothing.
            let alive = Alive(workers.clone());
            tokio::spawn(async move { alive.0.clone().work(worker).await }).abort_handle()
        };
        let parked = workers.parked.closer();
        ((0..count).map(start).collect(), parked)
    }

    /// One worker: takes what is due and runs it, for as long as the engine delivers.
    async fn work(self: Arc<Self>, worker: usize) {
        let (mut most, run_queue) = (1, self.run_queues.of(worker));
        let (mut in_a_row, mut busy) = (0, Duration::ZERO);
        // Whether it has done nothing since it was woken.
        let mut is_fresh = false;
        let waker = poll_fn(|cx| Poll::Ready(WorkerWaker::of(cx.waker()))).await;
        self.idle.set_waker(worker, &waker);
        let own = WorkerHandlers::of(&self.shared, Some(worker));
        // For the next attempt that is pending.
        let mut slot = self.parked.empty(Some(worker));
        loop {
            let (batch, has_slept) = self.take(worker, most, &waker).await;
            if has_slept {
                (in_a_row, busy) = (0, Duration::ZERO);
            }
            // It may have been rung once more while the wait was given up.
            waker.clear();
            is_fresh |= has_slept || batch.is_empty();
            if is_fresh && (!batch.is_empty() || self.parked.woken(worker) > 0) {
                is_fresh = false;
                self.hand_over_watch(worker);
            }
            let mut count = batch.len();
            self.put_in_hand(worker, batch);
            let clock = &self.shared.config.clock;
            let began = clock.now();
            count += self.poll_woken(worker).await;
            self.run_all(run_queue, &own, &mut slot).await;
            self.idle.set_useful(run_queue.useful());
            let took = clock.now().since(began);
            let each = (u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / count.max(1) as u64).max(1);
            most = usize::try_from(TAKEN_AT_ONCE_NS / each).unwrap_or(MOST_AT_ONCE).clamp(1, MOST_AT_ONCE);
            (in_a_row, busy) = (in_a_row + count, busy + took);
            if in_a_row >= MOST_IN_A_ROW || busy >= LONGEST_ROW {
                // Whatever else runs on this thread gets its turn, and the handlers a new budget of tokio's. Where handlers
                // take long, so do tokio's timers.
                let steps = if busy >= LONG { TOKIO_LOOKS_EVERY } else { 1 };
                for _ in 0..steps {
                    yield_to_woken().await;
                }
                (in_a_row, busy) = (0, Duration::ZERO);
            }
        }
    }
}
