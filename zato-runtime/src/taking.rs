//! What a worker does next: what the engine delivers, what has been woken, or what another worker does not come to. What has
//! been woken it goes on with here.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::time::timeout;
use zato_core::bus::Step;

use crate::hands::{Bell, Hands};
use crate::record::{Batch, Delivery};
use crate::seats::{Seated, Stands};
use crate::worker::{MOST_AT_ONCE, PATIENCE, Workers, step_aside};

impl Workers {
    /// Takes what the engine delivers, or what another worker has taken and does not come to, because a handler blocks
    /// its thread. Answers as well whether the worker has slept, and others had their turn.
    pub(crate) async fn take(&self, worker: usize, most: usize, bell: &Arc<Bell>) -> (Batch<Delivery>, bool) {
        if self.refill(worker, most) {
            return (Batch::new(), false);
        }
        match self.shared.engine.deliver(most) {
            Step::Now(batch) => (batch.unwrap_or_default(), false),
            later @ Step::Later(_) => {
                let (mut taken, mut has_slept) = (pin!(self.take_later(worker, later)), false);
                // What the engine has is taken first, so that whoever goes on and on keeps nothing from its turn.
                let batch = poll_fn(|cx| match taken.as_mut().poll(cx) {
                    Poll::Pending if self.seats.falls_asleep(worker) => {
                        has_slept = true;
                        Poll::Pending
                    }
                    Poll::Pending => Poll::Ready(Batch::new()),
                    batch @ Poll::Ready(_) => batch,
                });
                let batch = self.hands.wait(bell, batch).await;
                self.seats.is_up(worker);
                if batch.is_empty() {
                    self.refill(worker, most);
                }
                (batch, has_slept)
            }
        }
    }

    /// Takes what passes by the state of the engine; answers whether there is any.
    fn refill(&self, worker: usize, most: usize) -> bool {
        let taken = self.shared.engine.express().map_or(0, |express| express.refill(worker, most));
        if taken > 1 {
            self.hands.tell_of_several();
        }
        taken > 0
    }

    async fn take_later(&self, worker: usize, mut delivered: Step<'_, Batch<Delivery>>) -> Batch<Delivery> {
        loop {
            if self.hands.others_hold(worker)
                || self.others_have_passing(worker)
                || self.seats.others_have_woken(worker)
            {
                let look = self.hands.look();
                if let Ok(batch) = timeout(PATIENCE, &mut delivered).await {
                    return batch;
                }
                let batch = self.hands.take_over(worker, &look);
                let has_seats = self.seats.take_over(worker, self.hands.stuck(worker, &look));
                if !batch.is_empty() || has_seats || self.put_back_passing(worker, &look) {
                    return batch;
                }
                continue;
            }
            let mut filled = pin!(self.hands.filled());
            let taken = poll_fn(|cx| match Pin::new(&mut delivered).poll(cx) {
                Poll::Ready(batch) => Poll::Ready(Some(batch)),
                Poll::Pending => filled.as_mut().poll(cx).map(|()| None),
            });
            if let Some(batch) = taken.await {
                return batch;
            }
        }
    }

    /// Goes on with attempts that have waited for something and been woken; answers whether there were any.
    pub(crate) async fn go_on(self: &Arc<Self>, worker: usize) -> bool {
        let many = self.seats.woken(worker);
        if many > 1 {
            self.hands.tell_of_several();
        }
        for _ in 0..many.min(MOST_AT_ONCE) {
            if Hands::anyone_is_woken_here() {
                step_aside().await;
            }
            if self.shared.attempts.is_closed() {
                break;
            }
            let Some((seat, mut seated)) = self.seats.next(worker) else { break };
            self.hands.of(worker).begins();
            match seat.poll(&mut seated) {
                Poll::Pending => seat.sit(seated),
                Poll::Ready(brought) => {
                    let Seated { within, stands } = seated;
                    self.seats.leave(seat);
                    self.shared.config.clock.look();
                    let rest = match stands {
                        Stands::Outside(place) => {
                            within.end();
                            self.conclude_outside(place, brought)
                        }
                        Stands::Held(delivery, watched) => {
                            drop((within, watched));
                            self.follows(self.conclude(*delivery, brought, false))
                        }
                    };
                    if let Some(rest) = rest {
                        tokio::spawn(rest);
                    }
                }
            }
        }
        many > 0
    }
}
