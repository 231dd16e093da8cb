//! What a worker does next: what the engine delivers, what has been woken, or what another worker does not come to. What has
//! been woken it goes on with here.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::task::{self, Poll};

use futures_util::task::waker_ref;
use tokio::time::timeout;
use zato_core::bus::Step;

use super::idle::WorkerWaker;
use super::parked::{Origin, Parked};
use super::pool::{MOST_AT_ONCE, PATIENCE, Workers, yield_to_woken};
use crate::record::{Batch, Delivery};
use crate::settle::commit::Overruns;

/// For so many turns, some microseconds, a worker that has nothing to do stays awake where another has something: more comes
/// soon then, and to wake a thread that sleeps takes five times as long.
const TURNS: u32 = 32;

impl Workers {
    /// Takes what the engine delivers, or what another worker has taken and does not come to, because a handler blocks
    /// its thread. Answers as well whether the worker has slept, and others had their turn.
    pub(crate) async fn take(
        &self,
        worker: usize,
        most: usize,
        waker: &Arc<WorkerWaker>,
    ) -> (Batch<Delivery>, bool) {
        let (engine, idle) = (&self.shared.engine, &self.idle);
        idle.looks_for_work(worker);
        if idle.is_superfluous(worker) && self.parked.woken(worker) == 0 {
            idle.park(worker);
            // Those that make progress look for work once more before they sleep.
            if idle.is_superfluous(worker) {
                let (batch, has_slept) = self.sleep(worker, Step::later(pending()), waker).await;
                idle.unpark(worker, !batch.is_empty());
                return (batch, has_slept);
            }
            idle.unpark(worker, false);
        }
        if let Step::Now(Some(batch)) = engine.deliver(most) {
            return (batch, false);
        }
        self.idle.park(worker);
        let (batch, has_slept) = match engine.deliver(most) {
            Step::Now(batch) => (batch.unwrap_or_default(), false),
            later @ Step::Later(_) => self.sleep(worker, later, waker).await,
        };
        self.idle.unpark(worker, !batch.is_empty());
        (batch, has_slept)
    }

    /// Puts deliveries into a worker's run queue.
    pub(crate) fn put_in_hand(&self, worker: usize, batch: Batch<Delivery>) {
        let is_several = batch.len() > 1;
        self.run_queues.of(worker).push_front(batch);
        if is_several {
            self.idle.wake_searcher();
        }
    }

    /// Sleeps until there is work. It is woken through `worker_waker`, which notes that on the thread.
    async fn sleep(
        &self,
        worker: usize,
        delivered: Step<'_, Batch<Delivery>>,
        worker_waker: &Arc<WorkerWaker>,
    ) -> (Batch<Delivery>, bool) {
        let (mut taken, waker) = (pin!(self.take_later(worker, delivered)), waker_ref(worker_waker));
        let mut has_slept = false;
        let idle = &self.idle;
        let stays_awake = idle.others_are_up(worker) && !idle.is_superfluous(worker);
        let mut turns = if stays_awake { TURNS } else { 0 };
        let batch = poll_fn(|cx| {
            worker_waker.clear();
            let polled = taken.as_mut().poll(&mut task::Context::from_waker(&waker));
            has_slept |= polled.is_pending();
            if polled.is_pending() && turns > 0 {
                turns -= 1;
                cx.waker().wake_by_ref();
            }
            polled
        });
        (batch.await, has_slept)
    }

    async fn take_later(&self, worker: usize, mut delivered: Step<'_, Batch<Delivery>>) -> Batch<Delivery> {
        let idle = &self.idle;
        loop {
            let taken = poll_fn(|cx| match Pin::new(&mut delivered).poll(cx) {
                Poll::Pending if idle.is_asleep(worker) && !self.parked.has_some(worker) => Poll::Pending,
                // What the engine has is taken first, so that whoever goes on and on keeps nothing from its turn.
                Poll::Pending => Poll::Ready(Batch::new()),
                batch @ Poll::Ready(_) => batch,
            });
            if !self.others_have_more(worker) {
                return taken.await;
            }
            let was_superfluous = idle.is_superfluous(worker);
            idle.watches(worker);
            let look = self.run_queues.look();
            if let Ok(batch) = timeout(PATIENCE, taken).await {
                return batch;
            }
            let batch = self.run_queues.steal(worker, &look);
            let has_stolen = self.parked.steal(worker, self.run_queues.stuck(worker, &look));
            self.run_queues.stuck(worker, &look).for_each(|other| idle.is_stuck(other));
            if !batch.is_empty() || has_stolen || was_superfluous && !idle.is_superfluous(worker) {
                return batch;
            }
            idle.has_watched(worker);
        }
    }

    /// Has another worker watch, if one still must: a worker that has just been woken may have watched, or have been told to, and
    /// may be blocked by what it does next.
    pub(super) fn hand_over_watch(&self, worker: usize) {
        // A worker that takes more from now on sees that this one does not watch.
        fence(Ordering::SeqCst);
        if self.others_have_more(worker) {
            self.idle.hand_over_watch(worker);
        }
    }

    /// Whether another worker has taken more than it does now.
    fn others_have_more(&self, worker: usize) -> bool {
        let idle = &self.idle;
        idle.is_superfluous(worker) && !idle.others_watch(worker)
            || self.run_queues.others_hold(worker)
            || self.parked.others_have_woken(worker)
    }

    /// Polls attempts that were woken; returns their number.
    pub(crate) async fn poll_woken(self: &Arc<Self>, worker: usize) -> usize {
        let woken = self.parked.woken(worker);
        if woken > 1 {
            self.idle.wake_searcher();
        }
        let many = woken.min(MOST_AT_ONCE);
        for _ in 0..many {
            if WorkerWaker::woke_on_this_thread() {
                yield_to_woken().await;
            }
            if self.shared.attempts.is_closed() {
                break;
            }
            let Some((slot, mut parked)) = self.parked.next(worker) else { break };
            self.run_queues.of(worker).count_start();
            let mut permit = None;
            if let Origin::Begins(beginning) = &mut parked.origin {
                match slot.poll_beginning(beginning) {
                    Poll::Pending => {
                        slot.park(parked);
                        continue;
                    }
                    Poll::Ready(None) => {
                        // It waits again, or has ended.
                        let attempt = beginning.id();
                        self.parked.free(slot);
                        drop(parked);
                        self.shared.attempts.forget(attempt);
                        self.shared.engine.release(attempt);
                        continue;
                    }
                    Poll::Ready(Some(begun)) => permit = Some(self.has_begun(&mut parked, begun)),
                }
            }
            if let (Some(_), Origin::Held(delivery, _)) = (&permit, &parked.origin) {
                self.shared.engine.begins(delivery.id());
            }
            let polled = slot.poll(&mut parked);
            drop(permit);
            match polled {
                Poll::Pending => slot.park(parked),
                Poll::Ready(brought) => {
                    let Parked { within, origin } = parked;
                    self.parked.free(slot);
                    self.shared.config.clock.look();
                    let started = match origin {
                        // It has been polled, so that it has begun.
                        Origin::Begins(_) => Batch::new(),
                        Origin::Held(delivery, watched) => {
                            drop((within, watched));
                            self.conclude(*delivery, brought, Overruns::No)
                        }
                    };
                    self.run_queues.of(worker).push_front(started);
                }
            }
        }
        many
    }
}
