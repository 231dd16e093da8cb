//! Takes deliveries and sees them through to their outcome.

use std::future::poll_fn;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use zato_core::{Ending, Outcome};

use crate::beginning::{self, Beginning, Begun};
use crate::desk::Own;
use crate::dispatch::Running;
use crate::hands::{Hand, Hands};
use crate::limits;
use crate::record::{Batch, Delivery, Task, is_recorded_at_end};
use crate::retry::{Brought, Decision, Standing, completed, decide, shut_down};
use crate::seats::{Closer, Seat, Seated, Seats, Stands};
use crate::settle::{Lingers, Retry, again, settle};
use crate::shared::{Phase, Shared};
use crate::shutdown;
use crate::sleepers::Bell;
use crate::watch::{Limit, Watched};
use crate::within::Within;
use crate::words::count;

/// How much work a worker takes at once, as the time that it should need for it. More at once costs fewer
/// visits to the engine; less lets another worker take what stands behind a slow handler.
const TAKEN_AT_ONCE_NS: u64 = 20_000;

/// The most deliveries that a worker takes at once.
pub(crate) const MOST_AT_ONCE: usize = 32;

/// How long a worker goes on before it lets something else run on its thread.
const LONGEST_ROW: Duration = Duration::from_micros(100);

/// The most deliveries that a worker runs before it lets something else run on its thread: tokio's cooperative budget for
/// one poll of a task. To step aside wakes another thread of tokio's, which costs as much as several deliveries.
const MOST_IN_A_ROW: usize = 128;

/// From when on what a worker has run has taken long.
const LONG: Duration = Duration::from_millis(1);

/// After so many steps of tasks a busy thread of tokio's sees to timers and sockets, unless told otherwise
/// (`event_interval` of its builder).
const TOKIO_LOOKS_EVERY: usize = 61;

/// How long a worker that has nothing to do leaves alone what another has in hand.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1);

/// All workers of a runtime.
pub(crate) struct Workers {
    pub(crate) shared: Arc<Shared>,
    /// How many workers there are; written when one is dropped.
    live: AtomicUsize,
    /// What each of them has taken and not begun.
    pub(crate) hands: Hands,
    /// Where attempts wait for something.
    pub(crate) seats: Seats,
    /// Limits how many begins are recorded at once.
    begins: Arc<Semaphore>,
    /// What attempts hold on to that are begun outside of a worker.
    own: Own,
}

/// A worker that is dropped. Workers are dropped by a shutdown, or with the tokio runtime that they run on.
struct Alive(Arc<Workers>);

impl Drop for Alive {
    fn drop(&mut self) {
        let is_last = self.0.live.fetch_sub(1, Ordering::SeqCst) == 1;
        if is_last {
            shutdown::end_with_tokio(&self.0.shared);
        }
    }
}

impl Workers {
    /// Starts them on the tokio runtime of the caller.
    pub(crate) fn start(shared: &Arc<Shared>) -> (Vec<AbortHandle>, Closer) {
        let count = shared.sleepers.len();
        let workers = Arc::new(Self {
            shared: shared.clone(),
            live: AtomicUsize::new(count),
            seats: Seats::new(&shared.sleepers),
            hands: Hands::new(count),
            begins: beginning::permits(count),
            own: Own::of(shared, None),
        });
        let (watcher, tokio) = (Arc::downgrade(&workers), Handle::current());
        let (ender, of_ender) = (watcher.clone(), tokio.clone());
        shared.watch.start(
            Arc::new(move |delivery, brings| {
                if let Some(workers) = watcher.upgrade() {
                    workers.over_time(&tokio, delivery, brings);
                }
            }),
            Arc::new(move || ender.upgrade()?.end_what_waits(&of_ender)),
        );
        let weak = Arc::downgrade(shared);
        shared.engine.on_ends(Arc::new(move |at| {
            if let Some(shared) = weak.upgrade() {
                shared.watch.ends_at(at);
            }
        }));
        let start = |worker| {
            // Made here, since a task that is dropped before its first step has run nothing.
            let alive = Alive(workers.clone());
            tokio::spawn(async move { alive.0.clone().work(worker).await }).abort_handle()
        };
        let seats = workers.seats.closer();
        ((0..count).map(start).collect(), seats)
    }

    /// One worker: takes what is due and runs it, for as long as the engine delivers.
    async fn work(self: Arc<Self>, worker: usize) {
        let (mut most, hand) = (1, self.hands.of(worker));
        let (mut in_a_row, mut busy) = (0, Duration::ZERO);
        let bell = poll_fn(|cx| Poll::Ready(Bell::of(cx.waker()))).await;
        self.shared.sleepers.set_bell(worker, &bell);
        let own = Own::of(&self.shared, Some(worker));
        // For the next attempt that is pending.
        let mut seat = self.seats.empty(Some(worker));
        loop {
            let (batch, has_slept) = self.take(worker, most, &bell).await;
            if has_slept {
                (in_a_row, busy) = (0, Duration::ZERO);
            }
            // It may have been rung once more while the wait was given up.
            bell.hush();
            let mut count = batch.len();
            self.put_in_hand(worker, batch);
            let clock = &self.shared.config.clock;
            let began = clock.moment();
            count += self.go_on(worker).await;
            self.run_all(hand, &own, &mut seat).await;
            self.shared.sleepers.set_useful(hand.useful());
            let took = clock.moment().since(began);
            let each = (u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / count.max(1) as u64).max(1);
            most = usize::try_from(TAKEN_AT_ONCE_NS / each).unwrap_or(MOST_AT_ONCE).clamp(1, MOST_AT_ONCE);
            (in_a_row, busy) = (in_a_row + count, busy + took);
            if in_a_row >= MOST_IN_A_ROW || busy >= LONGEST_ROW {
                // Whatever else runs on this thread gets its turn, and the handlers a new budget of tokio's. Where handlers
                // take long, so do tokio's timers.
                let steps = if busy >= LONG { TOKIO_LOOKS_EVERY } else { 1 };
                for _ in 0..steps {
                    step_aside().await;
                }
                (in_a_row, busy) = (0, Duration::ZERO);
            }
        }
    }

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
            self.shared.see_in_time(&mut delivery);
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
    fn over_time(self: &Arc<Self>, tokio: &Handle, delivery: &Delivery, brings: Brought) {
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
    fn end_what_waits(self: &Arc<Self>, tokio: &Handle) -> Option<Instant> {
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

/// Lets whatever else waits for this thread run first: another worker that this one has woken, for one. Tokio keeps
/// that for this thread, where nobody else can take it, and a handler may block the thread; this one can be taken over
/// by another thread.
pub(crate) async fn step_aside() {
    let mut is_back = false;
    poll_fn(|cx| {
        if is_back {
            return Poll::Ready(());
        }
        is_back = true;
        Bell::is_heard_here();
        // Unlike `yield_now`, which keeps this from all other threads until this one has nothing else to do, and a
        // handler of another worker may block it before that.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
