//! The begin of an attempt of an invocation during which a process has died: it is recorded right before the handler begins.
//!
//! Only an attempt whose handler has really begun counts as a loss when the process dies during it. So few begins are
//! recorded at a time: of many that were recorded together, the first handler could kill the process and take the others
//! along.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bus::core::BusCore;
use crate::record::{AttemptId, Delivery};

/// The record of a begin, on its way.
pub(crate) struct Beginning {
    id: AttemptId,
    /// None once it has been recorded, or cannot be.
    delivery: Option<Box<Delivery>>,
    recorded: Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>,
}

/// A begin that is recorded: the handler is to be polled now.
pub(crate) struct Begun {
    pub(crate) delivery: Box<Delivery>,
    /// Dropped when the handler has been polled: the next begin may be recorded.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// How many of each worker: they share a sync.
const PER_WORKER: usize = 4;

/// How many begins may be on their way to the disk at once.
pub(crate) fn permits(workers: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(PER_WORKER * workers.max(1)))
}

impl Beginning {
    /// Records the begin of an attempt as soon as it may.
    pub(crate) fn new(shared: &Arc<BusCore>, permits: &Arc<Semaphore>, delivery: Delivery) -> Self {
        let (shared, permits, recorded) = (shared.clone(), permits.clone(), delivery.clone());
        let recorded = Box::pin(async move {
            let permit = permits.acquire_owned().await.ok()?;
            shared.engine.begin(&recorded).await.then_some(permit)
        });
        Self { id: delivery.id(), delivery: Some(Box::new(delivery)), recorded }
    }

    /// Returns which attempt it is.
    pub(crate) fn id(&self) -> AttemptId {
        self.id
    }

    /// Resolves when the begin is recorded; with nothing where the attempt is not to begin.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Begun>> {
        let permit = ready!(self.recorded.as_mut().poll(cx));
        let begun = permit.zip(self.delivery.take());
        Poll::Ready(begun.map(|(permit, delivery)| Begun { delivery, permit }))
    }
}
