//! How the tests wait for an engine that rings.

use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};
use zato_runtime::engine::{Engine, LeaseLost, Settled};
use zato_runtime::record::{Batch, Delivery, Hosted, Join, Settle};

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

    /// Whether it has rung since this was last asked.
    pub(super) fn has_rung(&self) -> bool {
        pin!(self.bell.notified()).enable()
    }

    /// Settles these, and waits until all are recorded. What that starts is in the answers, and is not delivered.
    pub(super) async fn settle(&self, batch: Batch<Settle>) -> Vec<Result<Settled, LeaseLost>> {
        let settle = |settle| {
            let (answer, mut answered) = oneshot::channel();
            let mut answer = Some(answer);
            let now = self.engine.settle(settle, &mut || {
                let answer = answer.take().expect("it is asked for once");
                Box::new(|settled| {
                    answer.send(settled).expect("somebody waits for it");
                    Batch::new()
                })
            });
            assert!(now.is_none() || answered.try_recv().is_err(), "it is answered once");
            (now, answered)
        };
        let mut answers = Vec::new();
        for (now, answered) in batch.into_iter().map(settle).collect::<Vec<_>>() {
            answers.push(if let Some(now) = now { now } else { answered.await.expect("it is answered") });
        }
        answers
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
