//! Runs one delivery, from its start to its settle.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use zato_core::{Ending, Outcome};

use super::handlers::WorkerHandlers;
use super::idle::WorkerWaker;
use super::parked::{Origin, Parked, ParkingSlot};
use super::pool::{Workers, yield_to_woken};
use super::record_start::{Beginning, Begun};
use super::run_queue::RunQueue;
use crate::attempt::dispatch::RunningAttempt;
use crate::attempt::limits;
use crate::attempt::retry::{AttemptResult, Decision, RetryInput, completed, decide, shut_down};
use crate::attempt::timed::TimedAttempt;
use crate::attempt::watchdog::{Limit, WatchGuard};
use crate::base::format::count;
use crate::bus::core::{BusCore, Phase};
use crate::record::{Batch, Delivery, Task, is_recorded_at_end};
use crate::settle::commit::{Overruns, Retry, commit_end, commit_retry};

impl Workers {
    /// Runs deliveries, and what their outcomes start, one after the other. Never waits: a handler that is not
    /// done after its first step has a slot from then on, and what a settle that takes time starts is delivered.
    pub(crate) async fn run_all(
        self: &Arc<Self>,
        run_queue: &RunQueue,
        own: &WorkerHandlers,
        slot: &mut Arc<ParkingSlot>,
    ) {
        let mut granted = Batch::new();
        // The first poll is timed.
        let mut is_timed = own.worker.is_some();
        loop {
            let someone_is_woken = WorkerWaker::woke_on_this_thread();
            // What a settle has started is begun at once, unless that must wait: others may steal what is in a run queue.
            let mut delivery = match granted.pop() {
                Some(delivery) if granted.is_empty() && !someone_is_woken => {
                    run_queue.count_start();
                    delivery
                }
                first => {
                    if let Some(first) = first {
                        granted.push(first);
                        run_queue.push_front(std::mem::take(&mut granted));
                    }
                    let Some(delivery) = run_queue.next() else { return };
                    delivery
                }
            };
            if someone_is_woken {
                yield_to_woken().await;
            }
            if self.shared.attempts.is_closed() {
                return;
            }
            self.recheck_before_start(&mut delivery);
            granted = match self.begin(&delivery, own) {
                Err(outcome) => commit_end(&self.shared, delivery, outcome, Overruns::No),
                Ok((running, _)) if delivery.begin_is_recorded() => {
                    self.record_begin(own.worker, delivery, running);
                    continue;
                }
                Ok((mut running, limit)) => {
                    let watched = self.watch(&delivery, limit);
                    let clock = &self.shared.config.clock;
                    let began = is_timed.then(|| clock.now());
                    // A task for each attempt would cost more than all else that is done for it.
                    let polled = slot.poll_first(&mut running);
                    if let Some(began) = began {
                        run_queue.note_poll(clock.now().since(began), self.run_queues.len());
                        is_timed = false;
                    }
                    match polled {
                        Poll::Ready(brought) => {
                            drop(watched);
                            self.conclude(delivery, brought, Overruns::No)
                        }
                        Poll::Pending => {
                            let slot = std::mem::replace(slot, self.parked.empty(own.worker));
                            self.park_pending(&slot, delivery, running, limit, watched);
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
        let BusCore { attempts, config, .. } = &*self.shared;
        let options = delivery.invocation.options.as_deref();
        let expires = options.and_then(|options| options.expires).filter(|_| delivery.attempt == 1);
        let deadline = delivery.invocation.deadline.map(SystemTime::from);
        let comes_late = || {
            let now = config.clock.system_time();
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
    fn begin(
        &self,
        delivery: &Delivery,
        own: &WorkerHandlers,
    ) -> Result<(RunningAttempt, Option<Limit>), Outcome> {
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
    fn watch(&self, delivery: &Delivery, limit: Option<Limit>) -> Option<WatchGuard> {
        self.shared.watch.enter(delivery, limit?)
    }

    /// Ends an attempt at its limit whose worker has not done so. If the worker does after all, it finds that somebody else
    /// has.
    pub(super) fn end_overrun(self: &Arc<Self>, tokio: &Handle, delivery: &Delivery, brings: AttemptResult) {
        if !self.shared.engine.is_running(delivery.id()) {
            return;
        }
        let overruns =
            if self.shared.attempts.waits(delivery.id()) { Overruns::Waits } else { Overruns::Runs };
        // This is not a thread of tokio's.
        let _on_tokio = tokio.enter();
        let started = self.conclude(delivery.clone(), brings, overruns);
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
                    let started = commit_end(&self.shared, delivery, outcome, Overruns::No);
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
                let run_queue = RunQueue::default();
                run_queue.push_front(started);
                workers.run_all(&run_queue, &workers.own, &mut workers.parked.empty(None)).await;
            });
        }
    }

    /// Records what follows from an attempt; answers with what of that is to be run now.
    pub(crate) fn conclude(
        &self,
        delivery: Delivery,
        brought: AttemptResult,
        overruns: Overruns,
    ) -> Batch<Delivery> {
        let told = self.shared.attempts.forget(delivery.id());
        let brought = match brought {
            AttemptResult::Completed(response) => {
                let outcome = completed(response, self.shared.config.max_payload);
                return commit_end(&self.shared, delivery, outcome, overruns);
            }
            other => other,
        };
        self.shared.config.clock.look();
        let standing = RetryInput {
            service: &delivery.invocation.service,
            failed: delivery.failed() + 1,
            is_cancelled: told.is_cancelled,
            is_interrupted: told.is_interrupted,
            uncounted: (delivery.attempt - 1).saturating_sub(delivery.failed()),
            has_time: self.shared.phase() < Phase::Stopping,
            now: self.shared.config.clock.system_time(),
            chance: RandomState::new().hash_one(delivery.attempt),
        };
        match decide(&self.shared.policy(&delivery.invocation), standing, brought) {
            Decision::End(outcome) => commit_end(&self.shared, delivery, outcome, overruns),
            Decision::Retry { at, counts, error, code } => {
                commit_retry(&self.shared, &delivery, Retry { at, counts, error, code }, overruns)
            }
        }
    }

    /// Records that the handler of an attempt begins, and has it begin then.
    fn record_begin(self: &Arc<Self>, worker: Option<usize>, delivery: Delivery, running: RunningAttempt) {
        let stop = self.shared.attempts.stop(delivery.id());
        let within = TimedAttempt::new(running, stop, self.shared.config.cancel_grace);
        let origin = Origin::Begins(Beginning::new(&self.shared, &self.begins, delivery));
        self.parked.empty(worker).park_woken(Parked { within, origin });
    }

    /// The begin of an attempt is recorded, and its limits count from now on. Returns what is dropped when its handler has
    /// been polled.
    pub(crate) fn has_begun(&self, parked: &mut Parked, begun: Begun) -> OwnedSemaphorePermit {
        let Begun { mut delivery, permit } = begun;
        delivery.started_at = self.shared.config.clock.now();
        let entry = self.shared.registry.of(&delivery.invocation.service);
        let limit =
            entry.and_then(|entry| limits::limit(&delivery.invocation, entry.registration.settings()));
        let watched = self.watch(&delivery, limit);
        parked.within.set_limit(limit, &self.shared.config.clock);
        parked.origin = Origin::Held(delivery, watched);
        permit
    }

    /// Has an attempt that waits for something go on by itself, within its limits.
    fn park_pending(
        &self,
        slot: &Arc<ParkingSlot>,
        delivery: Delivery,
        running: RunningAttempt,
        limit: Option<Limit>,
        watched: Option<WatchGuard>,
    ) {
        let stop = self.shared.attempts.stop(delivery.id());
        let config = &self.shared.config;
        let within = TimedAttempt::new(running, stop, config.cancel_grace).limited(limit, &config.clock);
        let origin = Origin::Held(Box::new(delivery), watched);
        let parked = Parked { within, origin };
        // The timer of a limit is set when it is polled.
        if limit.is_none() { slot.park_first(parked) } else { slot.park_woken(parked) }
    }
}
