//! What a worker does next: what the engine delivers, what has been woken, or what another worker does not come to.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::time::timeout;
use zato_core::bus::Step;

use crate::hands::Bell;
use crate::record::{Batch, Delivery};
use crate::worker::{PATIENCE, Workers};

impl Workers {
    /// Takes what the engine delivers, or what another worker has taken and does not come to, because a handler blocks
    /// its thread.
    pub(crate) async fn take(&self, worker: usize, most: usize, bell: &Arc<Bell>) -> Batch<Delivery> {
        if let Some(express) = self.shared.engine.express() {
            let taken = express.refill(worker, most);
            if taken > 1 {
                self.hands.tell_of_several();
            }
            if taken > 0 {
                return Batch::new();
            }
        }
        match self.shared.engine.deliver(most) {
            Step::Now(batch) => batch.unwrap_or_default(),
            later @ Step::Later(_) => {
                let mut taken = pin!(self.take_later(worker, later));
                // What the engine has is taken first, so that whoever goes on and on keeps nothing from its turn.
                let batch = poll_fn(|cx| match taken.as_mut().poll(cx) {
                    Poll::Pending if self.seats.falls_asleep(worker) => Poll::Pending,
                    Poll::Pending => Poll::Ready(Batch::new()),
                    batch @ Poll::Ready(_) => batch,
                });
                let batch = self.hands.wait(bell, batch).await;
                self.seats.is_up(worker);
                batch
            }
        }
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
}
