//! One delivery, from its start to what settles it.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use zato_core::{Ending, Outcome};

use super::handlers::Own;
use super::idle::Bell;
use super::parked::{Seat, Seated, Stands};
use super::pool::{Workers, step_aside};
use super::record_start::{Beginning, Begun};
use super::run_queue::Hand;
use crate::attempt::dispatch::Running;
use crate::attempt::limits;
use crate::attempt::retry::{Brought, Decision, Standing, completed, decide, shut_down};
use crate::attempt::timed::Within;
use crate::attempt::watchdog::{Limit, Watched};
use crate::base::format::count;
use crate::bus::core::{Phase, Shared};
use crate::record::{Batch, Delivery, Task, is_recorded_at_end};
use crate::settle::commit::{Lingers, Retry, again, settle};

impl Workers {
    /// Runs deliveries, and what their outcomes start, one after the other. Never waits: a handler that is not
    /// done after its first step has a seat from then on, and what a settle that takes time starts is delivered.
    pub(crate) async fn run_all(self: &Arc<Self>, hand: &Hand, own: &Own, seat: &mut Arc<Seat>) {
        let mut granted = Batch::new();
        // The first poll is timed.
        let mut is_timed = own.worker.is_some();
        loop {
            let someone_is_woken = Bell::has_rung_here();
            // What a settle has started is begun at once, unless that must wait: others may take over what is in a hand.
            let mut delivery = match granted.pop() {
                Some(delivery) if granted.is_empty() && !someone_is_woken => {
                    hand.begins();
                    delivery
                }
                first => {
                    if let Some(first) = first {
                        granted.push(first);
                        hand.put_first(std::mem::take(&mut granted));
                    }
                    let Some(delivery) = hand.next() else { return };
                    delivery
                }
            };
            if someone_is_woken {
                step_aside().await;
            }
            if self.shared.attempts.is_closed() {
                return;
            }
            self.recheck_before_start(&mut delivery);
            granted = match self.begin(&delivery, own) {
                Err(outcome) => settle(&self.shared, delivery, outcome, Lingers::No),
                Ok((running, _)) if delivery.begin_is_recorded() => {
                    self.record_begin(own.worker, delivery, running);
                    continue;
                }
                Ok((mut running, limit)) => {
                    let watched = self.watch(&delivery, limit);
                    let clock = &self.shared.config.clock;
                    let began = is_timed.then(|| clock.moment());
                    // A task for each attempt would cost more than all else that is done for it.
                    let polled = seat.poll_first(&mut running);
                    if let Some(began) = began {
                        hand.note_poll(clock.moment().since(began), self.hands.len());
                        is_timed = false;
                    }
                    match polled {
                        Poll::Ready(brought) => {
                            drop(watched);
                            self.conclude(delivery, brought, Lingers::No)
                        }
                        Poll::Pending => {
                            let seat = std::mem::replace(seat, self.seats.empty(own.worker));
                            self.see_through(&seat, delivery, running, limit, watched);
                            continue;
                        }
                    }
                }
            };
        }
    }

    /// Turns a delivery that is about to start into its end, if it was cancelled or its time has passed since it was handed
    /// out.
    fn recheck_before_start(&self, delivery: &mut Delivery) {
        if delivery.task != Task::Run {
            return;
        }
        let Shared { attempts, config, .. } = &*self.shared;
        let options = delivery.invocation.options.as_deref();
        let expires = options.and_then(|options| options.expires).filter(|_| delivery.attempt == 1);
        let deadline = delivery.invocation.deadline.map(SystemTime::from);
        let comes_late = || {
            let now = config.clock.now();
            match (deadline, expires) {
                (Some(deadline), _) if deadline <= now => Some(Task::TimeOut),
                (_, Some(expires)) if expires.from(now) <= now => Some(Task::Expire),
                _ => None,
            }
        };
        let has_limit = deadline.is_some() || expires.is_some();
        let instead = if attempts.is_asked(delivery.id()) {
            attempts.forget(delivery.id());
            Some(Task::Cancel)
        } else if has_limit {
            comes_late()
        } else {
            None
        };
        if let Some(task) = instead {
            delivery.task = task;
            delivery.attempt -= 1;
        }
    }

    /// Starts the attempt, unless the invocation is to end without one.
    fn begin(&self, delivery: &Delivery, own: &Own) -> Result<(Running, Option<Limit>), Outcome> {
        let Delivery { invocation, attempt, task, .. } = delivery;
        match task {
            Task::Run => {}
            Task::Expire => {
                return Err(Outcome::Expired(Ending::new("it was not started before it expired", false)));
            }
            Task::Cancel => {
                return Err(Outcome::Cancelled(Ending::new("it was cancelled while it waited", false)));
            }
            Task::GiveUp => return Err(Outcome::Cancelled(Ending::new(shut_down(invocation), false))),
            Task::Lose if is_recorded_at_end(invocation) => {
                let error = "the process whose caller waited for its response has ended, and a synchronous call is not run \
                             again: make the call again";
                return Err(Outcome::Lost(Ending::new(error, false)));
            }
            Task::Lose => {
                let losses = delivery.before.as_ref().map_or(0, |before| before.losses);
                let times = count(losses as usize, "time");
                let error = format!("its process died during it {times}: it may be what kills it");
                return Err(Outcome::Lost(Ending::new(error, true)));
            }
            Task::TimeOut => {
                let error = match *attempt {
                    0 => "its deadline passed before its first attempt".to_owned(),
                    made => {
                        let made = count(made as usize, "attempt");
                        format!("its deadline passed after {made}, while it waited")
                    }
                };
                return Err(Outcome::TimedOut(Ending::new(error, false)));
            }
        }
        let Some(entry) = self.shared.registry.of(&invocation.service) else {
            let unknown = self.shared.registry.unknown("target", &invocation.service);
            return Err(Outcome::Failed(Ending::new(unknown.to_string(), true)));
        };
        let limit = limits::limit(invocation, entry.registration.settings());
        Ok((own.begin(entry.number, invocation.clone(), *attempt), limit))
    }

    /// Has an attempt that has a limit watched from outside.
    fn watch(&self, delivery: &Delivery, limit: Option<Limit>) -> Option<Watched> {
        self.shared.watch.enter(delivery, limit?)
    }

    /// Ends an attempt at its limit whose worker has not done so. If the worker does after all, it finds that somebody else
    /// has.
    pub(super) fn over_time(self: &Arc<Self>, tokio: &Handle, delivery: &Delivery, brings: Brought) {
        if !self.shared.engine.is_running(delivery.id()) {
            return;
        }
        let lingers = if self.shared.attempts.waits(delivery.id()) { Lingers::Waits } else { Lingers::Runs };
        // This is not a thread of tokio's.
        let _on_tokio = tokio.enter();
        let started = self.conclude(delivery.clone(), brings, lingers);
        self.run_apart(tokio, started);
    }

    /// Ends what waits and is to be ended without being run, where no worker has done so in time: handlers may block all
    /// of their threads. Answers when more is to be ended.
    pub(super) fn end_what_waits(self: &Arc<Self>, tokio: &Handle) -> Option<Instant> {
        let _on_tokio = tokio.enter();
        loop {
            let (deliveries, next) = self.shared.engine.deliver_ends();
            if deliveries.is_empty() {
                return next;
            }
            for delivery in deliveries {
                // None of them is to be run, so none begins.
                if let Err(outcome) = self.begin(&delivery, &self.own) {
                    let started = settle(&self.shared, delivery, outcome, Lingers::No);
                    self.run_apart(tokio, started);
                }
            }
        }
    }

    /// Runs what a thread has started that is not a worker's.
    fn run_apart(self: &Arc<Self>, tokio: &Handle, started: Batch<Delivery>) {
        if !started.is_empty() {
            let workers = self.clone();
            tokio.spawn(async move {
                let hand = Hand::default();
                hand.put_first(started);
                workers.run_all(&hand, &workers.own, &mut workers.seats.empty(None)).await;
            });
        }
    }

    /// Records what follows from an attempt; answers with what of that is to be run now.
    pub(crate) fn conclude(&self, delivery: Delivery, brought: Brought, lingers: Lingers) -> Batch<Delivery> {
        let told = self.shared.attempts.forget(delivery.id());
        let brought = match brought {
            Brought::Completed(response) => {
                let outcome = completed(response, self.shared.config.max_payload);
                return settle(&self.shared, delivery, outcome, lingers);
            }
            other => other,
        };
        self.shared.config.clock.look();
        let standing = Standing {
            service: &delivery.invocation.service,
            failed: delivery.failed() + 1,
            is_cancelled: told.is_cancelled,
            is_interrupted: told.is_interrupted,
            uncounted: (delivery.attempt - 1).saturating_sub(delivery.failed()),
            has_time: self.shared.phase() < Phase::Stopping,
            now: self.shared.config.clock.now(),
            chance: RandomState::new().hash_one(delivery.attempt),
        };
        match decide(&self.shared.policy(&delivery.invocation), standing, brought) {
            Decision::End(outcome) => settle(&self.shared, delivery, outcome, lingers),
            Decision::Again { at, counts, error, code } => {
                again(&self.shared, &delivery, Retry { at, counts, error, code }, lingers)
            }
        }
    }

    /// Records that the handler of an attempt begins, and has it begin then.
    fn record_begin(self: &Arc<Self>, worker: Option<usize>, delivery: Delivery, running: Running) {
        let stop = self.shared.attempts.stop(delivery.id());
        let within = Within::new(running, stop, self.shared.config.cancel_grace);
        let stands = Stands::Begins(Beginning::new(&self.shared, &self.begins, delivery));
        self.seats.empty(worker).sit_woken(Seated { within, stands });
    }

    /// The begin of an attempt is recorded, and its limits count from now on. Returns what is dropped when its handler has
    /// been polled.
    pub(crate) fn has_begun(&self, seated: &mut Seated, begun: Begun) -> OwnedSemaphorePermit {
        let Begun { mut delivery, permit } = begun;
        delivery.started_at = self.shared.config.clock.moment();
        let entry = self.shared.registry.of(&delivery.invocation.service);
        let limit =
            entry.and_then(|entry| limits::limit(&delivery.invocation, entry.registration.settings()));
        let watched = self.watch(&delivery, limit);
        seated.within.set_limit(limit, &self.shared.config.clock);
        seated.stands = Stands::Held(delivery, watched);
        permit
    }

    /// Has an attempt that waits for something go on by itself, within its limits.
    fn see_through(
        &self,
        seat: &Arc<Seat>,
        delivery: Delivery,
        running: Running,
        limit: Option<Limit>,
        watched: Option<Watched>,
    ) {
        let stop = self.shared.attempts.stop(delivery.id());
        let config = &self.shared.config;
        let within = Within::new(running, stop, config.cancel_grace).limited(limit, &config.clock);
        let stands = Stands::Held(Box::new(delivery), watched);
        let seated = Seated { within, stands };
        // The timer of a limit is set when it is polled.
        if limit.is_none() { seat.sit_first(seated) } else { seat.sit_woken(seated) }
    }
}
