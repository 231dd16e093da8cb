//! Runs what passes by the state of the engine: the same attempt, with less around it.

use std::sync::Arc;
use std::task::Poll;

use zato_core::{Moment, Outcome};

use crate::attempts::Stop;
use crate::desk::Own;
use crate::dispatch::Running;
use crate::engine::{Express, Follow, Given, Place, Plain, PutBack, SetOut};
use crate::hands::Look;
use crate::record::{Batch, Delivery, Ended};
use crate::retry::Brought;
use crate::seats::{Seat, Seated, Stands};
use crate::settle::{Lingers, pass, settle};
use crate::sleepers::Bell;
use crate::within::Within;
use crate::worker::{Workers, step_aside};

impl Workers {
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

    /// Takes up to `most` of what passes by, and runs each with what follows from it; answers how many were taken.
    pub(crate) async fn run_passing(
        self: &Arc<Self>,
        worker: usize,
        most: usize,
        own: &Own,
        seat: &mut Arc<Seat>,
        now: Option<Moment>,
    ) -> usize {
        let Some(express) = self.shared.engine.express() else { return 0 };
        let hand = self.hands.of(worker);
        let mut track = Track { workers: self, express, worker, own, seat, now };
        let mut taken = 0;
        loop {
            if Bell::has_rung_here() {
                track.now = None;
                step_aside().await;
            }
            if self.shared.attempts.is_closed() {
                return taken;
            }
            let begun = if taken == 0 {
                let Given { first, count } = express.take(worker, most, track.now());
                if count > 1 {
                    self.shared.sleepers.tell_one();
                }
                taken = count;
                first
            } else if express.in_hand(worker) > 0 {
                express.begin(worker, track.now())
            } else {
                None
            };
            let Some(plain) = begun else { return taken };
            let started = track.run(plain);
            if !started.is_empty() {
                track.now = None;
                hand.put_first(started);
                self.run_all(hand, own).await;
            }
        }
    }

    /// Records what follows from an attempt that went on by itself; answers with what of that is to be
    /// run now.
    pub(crate) fn conclude_outside(&self, place: Place, brought: Brought) -> Batch<Delivery> {
        let shared = &self.shared;
        let Some(express) = shared.engine.express() else { return Batch::new() };
        let brought = match brought {
            Brought::Completed(response) if response.len() <= shared.config.max_payload => {
                let now = shared.config.clock.moment();
                let end = |follow: Follow<'_>| express.end_outside(place, response, now, follow);
                match pass(shared, end, now) {
                    Ok(_) => return Batch::new(),
                    Err(response) => Brought::Completed(response),
                }
            }
            other => other,
        };
        let delivery = express.promote_outside(place);
        delivery.map(|delivery| self.conclude(delivery, brought, Lingers::No)).unwrap_or_default()
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
    /// For the next that waits for something.
    seat: &'a mut Arc<Seat>,
    /// What time it is, where somebody has just looked.
    now: Option<Moment>,
}

impl Track<'_> {
    /// What time it is.
    fn now(&mut self) -> Moment {
        self.now.take().unwrap_or_else(|| self.workers.shared.config.clock.moment())
    }

    /// Runs one that is begun, and its callback if that passes as well; answers with what else is started.
    fn run(&mut self, mut plain: Plain) -> Batch<Delivery> {
        let shared = &self.workers.shared;
        loop {
            self.workers.hands.of(self.worker).begins();
            let mut running = self.own.begin(plain.service, plain.invocation, 1);
            let Poll::Ready(brought) = self.seat.poll_first(&mut running) else {
                self.set_out(running);
                return Batch::new();
            };
            drop(running);
            let response = match brought {
                Brought::Completed(response) if response.len() <= shared.config.max_payload => response,
                other => {
                    return self.settle(|workers, delivery| workers.conclude(delivery, other, Lingers::No));
                }
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
                        .settle(|workers, delivery| settle(&workers.shared, delivery, outcome, Lingers::No));
                }
            }
        }
    }

    /// Has an attempt go on by itself that waits for something.
    fn set_out(&mut self, running: Running) {
        let (workers, stop) = (self.workers, Arc::new(Stop::default()));
        let Some(SetOut { place, joined }) = self.express.set_out(self.worker, stop.clone()) else {
            if let Some(delivery) = self.express.promote(self.worker) {
                workers.see_through(Some(self.worker), delivery, running, None, None);
            }
            return;
        };
        workers.tell_of(joined.as_deref());
        let within = Within::new(running, stop, workers.shared.config.cancel_grace);
        let seat = std::mem::replace(self.seat, workers.seats.empty(Some(self.worker)));
        seat.sit_first(Seated { within, stands: Stands::Outside(place) });
    }

    /// Settles what has not passed; answers with what that has started.
    fn settle(&self, settle: impl FnOnce(&Workers, Delivery) -> Batch<Delivery>) -> Batch<Delivery> {
        let delivery = self.express.promote(self.worker);
        delivery.map(|delivery| settle(self.workers, delivery)).unwrap_or_default()
    }
}
