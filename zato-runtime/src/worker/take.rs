//! What a worker does next: what the engine delivers, what has been woken, or what another worker does not come to. What has
//! been woken it goes on with here.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};

use futures_util::task::waker_ref;
use tokio::time::timeout;
use zato_core::bus::Step;

use super::idle::Bell;
use super::parked::{Seated, Stands};
use super::pool::{MOST_AT_ONCE, PATIENCE, Workers, step_aside};
use crate::record::{Batch, Delivery};
use crate::settle::commit::Lingers;

/// For so many turns, some microseconds, a worker that has nothing to do stays awake where another has something: more comes
/// soon then, and to wake a thread that sleeps takes five times as long.
const TURNS: u32 = 32;

impl Workers {
    /// Takes what the engine delivers, or what another worker has taken and does not come to, because a handler blocks
    /// its thread. Answers as well whether the worker has slept, and others had their turn.
    pub(crate) async fn take(&self, worker: usize, most: usize, bell: &Arc<Bell>) -> (Batch<Delivery>, bool) {
        let (engine, sleepers) = (&self.shared.engine, &self.sleepers);
        sleepers.looks_for_work(worker);
        if sleepers.is_superfluous(worker) && self.seats.woken(worker) == 0 {
            sleepers.lies_down(worker);
            // Those that make progress look for work once more before they sleep.
            if sleepers.is_superfluous(worker) {
                let (batch, has_slept) = self.sleep(worker, Step::later(pending()), bell).await;
                sleepers.gets_up(worker, !batch.is_empty());
                return (batch, has_slept);
            }
            sleepers.gets_up(worker, false);
        }
        if let Step::Now(Some(batch)) = engine.deliver(most) {
            return (batch, false);
        }
        self.sleepers.lies_down(worker);
        let (batch, has_slept) = match engine.deliver(most) {
            Step::Now(batch) => (batch.unwrap_or_default(), false),
            later @ Step::Later(_) => self.sleep(worker, later, bell).await,
        };
        self.sleepers.gets_up(worker, !batch.is_empty());
        (batch, has_slept)
    }

    /// Puts what was taken into a worker's hand.
    pub(crate) fn put_in_hand(&self, worker: usize, batch: Batch<Delivery>) {
        let is_several = batch.len() > 1;
        self.hands.of(worker).put_first(batch);
        if is_several {
            self.sleepers.tell_one();
        }
    }

    /// Sleeps until there is something to do. Who runs on the thread that wakes the worker knows.
    async fn sleep(
        &self,
        worker: usize,
        delivered: Step<'_, Batch<Delivery>>,
        bell: &Arc<Bell>,
    ) -> (Batch<Delivery>, bool) {
        let (mut taken, waker) = (pin!(self.take_later(worker, delivered)), waker_ref(bell));
        let mut has_slept = false;
        let sleepers = &self.sleepers;
        let stays_awake = sleepers.others_are_up(worker) && !sleepers.is_superfluous(worker);
        let mut turns = if stays_awake { TURNS } else { 0 };
        let batch = poll_fn(|cx| {
            bell.hush();
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
        let sleepers = &self.sleepers;
        loop {
            let taken = poll_fn(|cx| match Pin::new(&mut delivered).poll(cx) {
                Poll::Pending if sleepers.is_asleep(worker) && !self.seats.has_some(worker) => Poll::Pending,
                // What the engine has is taken first, so that whoever goes on and on keeps nothing from its turn.
                Poll::Pending => Poll::Ready(Batch::new()),
                batch @ Poll::Ready(_) => batch,
            });
            if !self.others_have_more(worker) {
                return taken.await;
            }
            let was_superfluous = sleepers.is_superfluous(worker);
            sleepers.watches(worker);
            let look = self.hands.look();
            if let Ok(batch) = timeout(PATIENCE, taken).await {
                return batch;
            }
            let batch = self.hands.take_over(worker, &look);
            let has_seats = self.seats.take_over(worker, self.hands.stuck(worker, &look));
            self.hands.stuck(worker, &look).for_each(|other| sleepers.is_stuck(other));
            if !batch.is_empty() || has_seats || was_superfluous && !sleepers.is_superfluous(worker) {
                return batch;
            }
            sleepers.has_watched(worker);
        }
    }

    /// Whether another worker has something that it does not do now.
    fn others_have_more(&self, worker: usize) -> bool {
        let sleepers = &self.sleepers;
        sleepers.is_superfluous(worker) && !sleepers.others_watch(worker)
            || self.hands.others_hold(worker)
            || self.seats.others_have_woken(worker)
    }

    /// Goes on with attempts that have waited for something and been woken; answers how many there were.
    pub(crate) async fn go_on(self: &Arc<Self>, worker: usize) -> usize {
        let woken = self.seats.woken(worker);
        if woken > 1 {
            self.sleepers.tell_one();
        }
        let many = woken.min(MOST_AT_ONCE);
        for _ in 0..many {
            if Bell::has_rung_here() {
                step_aside().await;
            }
            if self.shared.attempts.is_closed() {
                break;
            }
            let Some((seat, mut seated)) = self.seats.next(worker) else { break };
            self.hands.of(worker).begins();
            let mut permit = None;
            if let Stands::Begins(beginning) = &mut seated.stands {
                match seat.poll_beginning(beginning) {
                    Poll::Pending => {
                        seat.sit(seated);
                        continue;
                    }
                    Poll::Ready(None) => {
                        // It waits again, or has ended.
                        let attempt = beginning.id();
                        self.seats.leave(seat);
                        drop(seated);
                        self.shared.attempts.forget(attempt);
                        self.shared.engine.release(attempt);
                        continue;
                    }
                    Poll::Ready(Some(begun)) => permit = Some(self.has_begun(&mut seated, begun)),
                }
            }
            if let (Some(_), Stands::Held(delivery, _)) = (&permit, &seated.stands) {
                self.shared.engine.begins(delivery.id());
            }
            let polled = seat.poll(&mut seated);
            drop(permit);
            match polled {
                Poll::Pending => seat.sit(seated),
                Poll::Ready(brought) => {
                    let Seated { within, stands } = seated;
                    self.seats.leave(seat);
                    self.shared.config.clock.look();
                    let started = match stands {
                        // It has been polled, so that it has begun.
                        Stands::Begins(_) => Batch::new(),
                        Stands::Held(delivery, watched) => {
                            drop((within, watched));
                            self.conclude(*delivery, brought, Lingers::No)
                        }
                    };
                    self.hands.of(worker).put_first(started);
                }
            }
        }
        many
    }
}
