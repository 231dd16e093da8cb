//! Runs what passes by the state of the engine: the same attempt, with less around it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use zato_core::bus::Bus;
use zato_core::{Context, Moment, Outcome};

use crate::dispatch::Running;
use crate::engine::{Express, Passed, Plain};
use crate::hands::Look;
use crate::intake::Entering;
use crate::record::{Batch, Delivery, Ended};
use crate::retry::Brought;
use crate::settle::callbacks;
use crate::worker::{Workers, step_aside};

impl Workers {
    /// How many a worker has in hand that pass by.
    pub(crate) fn passing(&self, worker: usize) -> usize {
        self.shared.engine.express().map_or(0, |express| express.in_hand(worker))
    }

    /// Whether another worker has some.
    pub(crate) fn others_have_passing(&self, worker: usize) -> bool {
        let Some(express) = self.shared.engine.express() else { return false };
        (0..self.hands.len()).any(|other| other != worker && express.in_hand(other) > 0)
    }

    /// Has others take what workers have in hand that have begun nothing since that look.
    pub(crate) fn put_back_passing(&self, worker: usize, since: &Look) -> bool {
        let Some(express) = self.shared.engine.express() else { return false };
        self.hands.stuck(worker, since).any(|other| express.put_back(other))
    }

    /// Runs all that a worker has in hand that passes by, with what follows from each.
    pub(crate) async fn run_passing(self: &Arc<Self>, worker: usize, desk: &Arc<dyn Bus>) {
        let Some(express) = self.shared.engine.express() else { return };
        let hand = self.hands.of(worker);
        while express.in_hand(worker) > 0 {
            if self.hands.anyone_is_woken() {
                step_aside().await;
            }
            if self.shared.attempts.is_closed() {
                return;
            }
            let track = Track { workers: self, express, worker, desk };
            let started = poll_fn(|cx| Poll::Ready(track.run(cx))).await;
            if !started.is_empty() {
                hand.put_first(started);
                self.run_all(hand, desk).await;
            }
        }
    }
}

/// The way of one worker.
struct Track<'a> {
    workers: &'a Arc<Workers>,
    express: &'a dyn Express,
    worker: usize,
    desk: &'a Arc<dyn Bus>,
}

impl Track<'_> {
    /// Runs the next, and its callback if that passes as well; answers with what else is started.
    fn run(&self, cx: &mut task::Context<'_>) -> Batch<Delivery> {
        let shared = &self.workers.shared;
        let mut started_at = shared.config.clock.moment();
        let Some(mut plain) = self.express.begin(self.worker, started_at) else { return Batch::new() };
        loop {
            self.workers.hands.of(self.worker).begins();
            let Some(entry) = shared.registry.numbered(plain.service) else { return Batch::new() };
            let context = Context::new(plain.invocation.clone(), 1, self.desk.clone());
            let mut running = Running::new(entry.handler.clone(), context);
            let Poll::Ready(brought) = Pin::new(&mut running).poll(cx) else {
                if let Some(delivery) = self.express.promote(self.worker) {
                    self.workers.see_through(delivery, running, None, None);
                }
                return Batch::new();
            };
            drop(running);
            let brought = match self.end(plain, started_at, brought) {
                Ok(None) => return Batch::new(),
                Ok(Some((callback, ended_at))) => {
                    (plain, started_at) = (callback, ended_at);
                    continue;
                }
                Err(brought) => brought,
            };
            let Some(delivery) = self.express.promote(self.worker) else { return Batch::new() };
            return self.workers.started_by(self.workers.conclude(delivery, brought, false));
        }
    }

    /// Records what one has brought; answers with the callback that is begun, and when.
    ///
    /// # Errors
    ///
    /// It comes back where it is to be settled.
    fn end(
        &self,
        plain: Plain,
        started_at: Moment,
        brought: Brought,
    ) -> Result<Option<(Plain, Moment)>, Brought> {
        let shared = &self.workers.shared;
        let response = match brought {
            Brought::Completed(response) if response.len() <= shared.config.max_payload => response,
            other => return Err(other),
        };
        let ended_at = shared.config.clock.moment();
        let (invocation, outcome) = (plain.invocation, Outcome::Completed(response));
        let started_at = Some(started_at);
        let ended = Ended { invocation, outcome, attempts: 1, started_at, ended_at, before: None };
        let callback = match &ended.invocation.callbacks[..] {
            [] => None,
            [_] => match self.callback(&ended) {
                None => return Err(barred(ended)),
                callback => callback,
            },
            _ => return Err(barred(ended)),
        };
        let entering = callback.as_ref().map(|callback| Entering::new(shared, &callback.invocation));
        let passed = self.express.end(self.worker, &ended, callback.as_ref());
        if passed == Passed::Barred {
            return Err(barred(ended));
        }
        if let Some(entering) = entering {
            entering.taken();
        }
        if let Some(observer) = &shared.observer {
            observer.ended(&ended);
        }
        Ok(callback.filter(|_| passed == Passed::Next).map(|callback| (callback, ended_at)))
    }

    /// The one callback of what has ended, if that passes as well.
    fn callback(&self, ended: &Ended) -> Option<Plain> {
        let callback = callbacks(ended, None, |at| self.workers.shared.mint(at)).pop()?;
        let service = self.workers.shared.passes(&callback)?;
        Some(Plain::new(callback, service))
    }
}

/// What an attempt brought that may not pass.
fn barred(ended: Ended) -> Brought {
    match ended.outcome {
        Outcome::Completed(response) => Brought::Completed(response),
        _ => unreachable!("nothing else is on its way"),
    }
}
