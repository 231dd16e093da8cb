//! How the tests wait for an engine that rings.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Notify;
use zato_runtime::engine::Engine;
use zato_runtime::record::{Batch, Delivery, Hosted, Join};

/// An engine that may ring instead of ending a wait.
#[derive(Clone)]
pub(super) struct Rings {
    engine: Arc<dyn Engine>,
    bell: Arc<Notify>,
}

impl Deref for Rings {
    type Target = dyn Engine;

    fn deref(&self) -> &Self::Target {
        &*self.engine
    }
}

impl Rings {
    pub(super) fn announced(engine: Arc<dyn Engine>, hosted: &[Hosted], join: Arc<dyn Join>) -> Self {
        let bell = Arc::new(Notify::new());
        let rung = bell.clone();
        engine.announce(hosted, join, Arc::new(move || rung.notify_one())).expect("nothing was left");
        Self { engine, bell }
    }

    /// Waits as a worker does: until something is handed out.
    pub(super) async fn deliver(&self, most: usize) -> Batch<Delivery> {
        loop {
            let batch = tokio::select! {
                biased;
                batch = self.engine.deliver(most) => batch,
                () = self.bell.notified() => Batch::new(),
            };
            if !batch.is_empty() {
                return batch;
            }
        }
    }
}
