//! Runs what passes by the state of the engine: the same attempt, with less around it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use zato_core::{Moment, Outcome};

use crate::attempts::Stop;
use crate::desk::Own;
use crate::dispatch::Running;
use crate::engine::{Express, Follow, Place, PutBack, SetOut};
use crate::hands::Look;
use crate::record::{Batch, Delivery, Ended};
use crate::retry::Brought;
use crate::settle::{pass, settle};
use crate::within::Within;
use crate::worker::{Recorded, Rest, Workers, step_aside};

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
        let Some(PutBack { joined }) =
            self.hands.stuck(worker, since).find_map(|other| express.put_back(other))
        else {
            return false;
        };
        self.tell_of(joined.as_deref());
        true
    }

    /// Runs all that a worker has in hand that passes by, with what follows from each.
    pub(crate) async fn run_passing(self: &Arc<Self>, worker: usize, own: &Own, now: Moment) {
        let Some(express) = self.shared.engine.express() else { return };
        let hand = self.hands.of(worker);
        let mut track = Track { workers: self, express, worker, own, now: Some(now) };
        while express.in_hand(worker) > 0 {
            if self.hands.anyone_is_woken() {
                track.now = None;
                step_aside().await;
            }
            if self.shared.attempts.is_closed() {
                return;
            }
            let started = poll_fn(|cx| Poll::Ready(track.run(cx))).await;
            if !started.is_empty() {
                track.now = None;
                hand.put_first(started);
                self.run_all(hand, own).await;
            }
        }
    }
}

impl Workers {
    /// Gives an attempt that waits for something, and passes by, a task of its own.
    fn set_out(self: &Arc<Self>, express: &dyn Express, worker: usize, running: Running) {
        let stop = Arc::new(Stop::default());
        let Some(SetOut { place, joined }) = express.set_out(worker, stop.clone()) else {
            if let Some(delivery) = express.promote(worker) {
                self.see_through(delivery, running, None, None);
            }
            return;
        };
        self.tell_of(joined.as_deref());
        let workers = self.clone();
        let mut within = Within::new(running, None, stop.clone(), self.shared.config.cancel_grace);
        let task = tokio::spawn(async move {
            // By reference, since what is awaited would stand beside what is captured.
            let brought = (&mut within).await;
            within.end();
            if let Some(rest) = workers.conclude_outside(place, brought) {
                rest.await;
            }
        });
        self.shared.attempts.note_task(&stop, task.abort_handle());
    }

    /// Records what follows from an attempt that went on by itself; answers with what is left to do.
    fn conclude_outside(self: &Arc<Self>, place: Place, brought: Brought) -> Option<Rest> {
        let shared = &self.shared;
        let express = shared.engine.express()?;
        shared.config.clock.look();
        let brought = match brought {
            Brought::Completed(response) if response.len() <= shared.config.max_payload => {
                let now = shared.config.clock.moment();
                let end = |follow: Follow<'_>| express.end_outside(place, response, now, follow);
                match pass(shared, end, now) {
                    Ok(_) => return None,
                    Err(response) => Brought::Completed(response),
                }
            }
            other => other,
        };
        let delivery = express.promote_outside(place)?;
        self.follows(self.conclude(delivery, brought, false))
    }

    /// A door hears of a group that has ended.
    fn tell_of(&self, joined: Option<&Ended>) {
        if let (Some(observer), Some(group)) = (&self.shared.observer, joined) {
            observer.ended(group);
        }
    }
}

/// The way of one worker.
struct Track<'a> {
    workers: &'a Arc<Workers>,
    express: &'a dyn Express,
    worker: usize,
    own: &'a Own,
    /// What time it is, where somebody has just looked.
    now: Option<Moment>,
}

impl Track<'_> {
    /// Runs the next, and its callback if that passes as well; answers with what else is started.
    fn run(&mut self, cx: &mut task::Context<'_>) -> Batch<Delivery> {
        let shared = &self.workers.shared;
        let now = self.now.take().unwrap_or_else(|| shared.config.clock.moment());
        let Some(mut plain) = self.express.begin(self.worker, now) else { return Batch::new() };
        loop {
            self.workers.hands.of(self.worker).begins();
            let mut running = self.own.begin(plain.service, plain.invocation, 1);
            let Poll::Ready(brought) = Pin::new(&mut running).poll(cx) else {
                self.workers.set_out(self.express, self.worker, running);
                return Batch::new();
            };
            drop(running);
            let response = match brought {
                Brought::Completed(response) if response.len() <= shared.config.max_payload => response,
                other => return self.settle(|workers, delivery| workers.conclude(delivery, other, false)),
            };
            let now = shared.config.clock.moment();
            self.now = Some(now);
            let end = |follow: Follow<'_>| self.express.end(self.worker, response, now, follow);
            match pass(shared, end, now) {
                Ok(None) => return Batch::new(),
                Ok(Some(callback)) => plain = callback,
                Err(response) => {
                    let outcome = Outcome::Completed(response);
                    return self
                        .settle(|workers, delivery| settle(&workers.shared, delivery, outcome, false));
                }
            }
        }
    }

    /// Settles what has not passed; answers with what that has started.
    fn settle(&self, settle: impl FnOnce(&Workers, Delivery) -> Recorded) -> Batch<Delivery> {
        let delivery = self.express.promote(self.worker);
        delivery.map(|delivery| self.workers.started_by(settle(self.workers, delivery))).unwrap_or_default()
    }
}
