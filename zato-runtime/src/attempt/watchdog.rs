//! Limits and timers watched from outside of the workers: a handler that blocks its thread cannot keep its attempt from ending,
//! handlers that block every thread cannot keep what waits from being ended, and a handler that blocks the worker that waited
//! for a timer cannot keep what is due from starting on another.
//!
//! An attempt that waits for something is stopped where it waits, by a timer that it is polled with. One that never comes
//! back from a poll is found here, by a thread that sleeps until the earliest limit. The same thread ends what waits and
//! is to end without being run, and wakes a worker for what is due, where no worker has done so in time. Its lock is taken after
//! that of an engine's state.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::time::Instant as Tick;
use zato_core::Moment;

use super::retry::AttemptResult;
use crate::base::clock::{Clock, LOOKS_EVERY};
use crate::base::log_target;
use crate::record::{AttemptId, Delivery};

/// How long after its limit an attempt that has not ended is taken for one that blocks, and how long what is to be ended
/// is left to the workers: timers are late by as much where threads are busy.
const SLACK: Duration = Duration::from_millis(20);

/// When an attempt is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// When it has run for as long as it may, and how long that is.
    timeout: Option<(Tick, Duration)>,
    /// A time of day, which is compared with the wall clock whenever somebody looks.
    deadline: Option<Moment>,
}

impl Limit {
    /// A limit, if there is one: how long an attempt may run and until when that is, and its deadline.
    pub(crate) fn of(timeout: Option<(Tick, Duration)>, deadline: Option<Moment>) -> Option<Self> {
        (timeout.is_some() || deadline.is_some()).then_some(Self { timeout, deadline })
    }

    /// When to look next whether the attempt is over.
    pub(crate) fn looks_at(&self, clock: &Clock) -> Tick {
        let timeout = self.timeout.map(|(at, _)| at);
        let deadline = self.deadline.map(|at| clock.look_at(at.into()));
        // One of them is set.
        [timeout, deadline].into_iter().flatten().min().unwrap_or_else(Tick::now)
    }

    /// What ends the attempt now, if anything does: of two limits the one that came first.
    pub(crate) fn over(&self, clock: &Clock) -> Option<AttemptResult> {
        clock.look();
        let (now, wall) = (Tick::now(), clock.system_time());
        let timeout = self.timeout.and_then(|(at, limit)| Some((now.checked_duration_since(at)?, limit)));
        let deadline = self.deadline.and_then(|at| wall.duration_since(at.into()).ok());
        match (timeout, deadline) {
            (Some((ago, limit)), passed) if passed.is_none_or(|passed| ago > passed) => {
                Some(AttemptResult::TimedOut(limit))
            }
            (_, Some(_)) => Some(AttemptResult::DeadlinePassed),
            _ => None,
        }
    }
}

/// Ends an attempt that is over while its handler blocks.
pub(crate) type OnTimeout = dyn Fn(&Delivery, AttemptResult) + Send + Sync;

/// Ends what waits and is to be ended; answers when more is.
pub(crate) type OnEnds = dyn Fn() -> Option<Tick> + Send + Sync;

/// The attempts that have a limit, what waits and is to be ended, and the thread that watches them once there has been
/// any.
pub(crate) struct Watchdog {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    /// By the time at which to look whether they are over. Each is removed by the one who put it in, or by the thread.
    limits: BTreeMap<(Instant, AttemptId), (Delivery, Ends)>,
    /// Where those stand whose handlers have not been dropped.
    entered: HashMap<AttemptId, Instant>,
    /// When the thread looks at what waits: a timer has rung then.
    ends_at: Option<Instant>,
    /// What is done last of all, and when: the end of a shutdown at its limit.
    last: Option<(Instant, Box<dyn FnOnce() + Send>)>,
    /// The thread, and until when it sleeps; none where it waits for a limit to come.
    thread: Option<Thread>,
    /// `true` if the last try to start the thread failed, which is logged once and not at every limit.
    has_no_thread: bool,
    sleeps_until: Option<Instant>,
    /// The actions of the thread; none before the runtime has started and after it has ended.
    actions: Option<(Arc<OnTimeout>, Arc<OnEnds>)>,
}

/// What ends an attempt that is watched.
enum Ends {
    Limit(Limit),
    /// Its time, and nothing else.
    Then(AttemptResult),
}

/// An attempt that is watched; dropped when its handler has been.
pub(crate) struct WatchGuard {
    state: Arc<Mutex<State>>,
    id: AttemptId,
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if let Some(at) = state.entered.remove(&self.id) {
            state.limits.remove(&(at, self.id));
        }
    }
}

impl Watchdog {
    /// Watches nothing yet.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { state: Arc::default(), clock }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Sets what is done about an attempt that is over, and about what waits and is to be ended.
    pub(crate) fn start(&self, on_over: Arc<OnTimeout>, on_ends: Arc<OnEnds>) {
        self.state().actions = Some((on_over, on_ends));
    }

    /// Watches no more; the thread ends.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.actions = None;
        state.limits.clear();
        state.entered.clear();
        state.ends_at = None;
        let last = state.last.take();
        if let Some(thread) = state.thread.take() {
            thread.unpark();
        }
        drop(state);
        // It may be all that holds the bus.
        drop(last);
    }

    /// Watches an attempt until what is returned is dropped. By a test's clock no handler blocks for any time.
    pub(crate) fn enter(&self, delivery: &Delivery, limit: Limit) -> Option<WatchGuard> {
        if self.clock.is_paused_time() {
            return None;
        }
        let (id, at) = (delivery.id(), limit.looks_at(&self.clock).into_std().checked_add(SLACK)?);
        let mut state = self.state();
        state.actions.as_ref()?;
        state.limits.insert((at, id), (delivery.clone(), Ends::Limit(limit)));
        state.entered.insert(id, at);
        self.wake_by(state, at);
        Some(WatchGuard { state: self.state.clone(), id })
    }

    /// Watches an attempt for as long; one that ends before is not taken for one that blocks.
    pub(crate) fn note(&self, delivery: &Delivery, left: Duration, brings: AttemptResult) {
        let at = Instant::now().checked_add(left).and_then(|at| at.checked_add(SLACK));
        // No clock can tell of what is further away.
        let Some(at) = at.filter(|_| !self.clock.is_paused_time()) else { return };
        let mut state = self.state();
        if state.actions.is_some() {
            state.limits.insert((at, delivery.id()), (delivery.clone(), Ends::Then(brings)));
            self.wake_by(state, at);
        }
    }

    /// Has something done after so long, unless the watch is closed before. By a test's clock it never is.
    pub(crate) fn at_last(&self, left: Duration, act: impl FnOnce() + Send + 'static) {
        let at = Instant::now().checked_add(left).and_then(|at| at.checked_add(SLACK));
        let Some(at) = at.filter(|_| !self.clock.is_paused_time()) else { return };
        let mut state = self.state();
        if state.actions.is_some() {
            state.last = Some((at, Box::new(act)));
            self.wake_by(state, at);
        }
    }

    /// Something that waits is to be ended or may start then, if it still waits.
    pub(crate) fn ends_at(&self, at: Tick) {
        let Some(at) = at.into_std().checked_add(SLACK).filter(|_| !self.clock.is_paused_time()) else {
            return;
        };
        let mut state = self.state();
        if state.actions.is_some() && state.ends_at.is_none_or(|earliest| at < earliest) {
            state.ends_at = Some(at);
            self.wake_by(state, at);
        }
    }

    /// Has the thread look at this time at the latest.
    fn wake_by(&self, mut state: MutexGuard<'_, State>, at: Instant) {
        match &state.thread {
            None => {
                let spawned = spawn(self.state.clone(), self.clock.clone());
                if let Err(error) = &spawned
                    && !state.has_no_thread
                {
                    tracing::warn!(target: log_target::WATCHDOG, %error, "the thread that enforces time limits could not be started: a handler that blocks its thread outlives its timeout");
                }
                state.has_no_thread = spawned.is_err();
                state.thread = spawned.ok();
            }
            Some(thread) if state.sleeps_until.is_none_or(|until| at < until) => {
                thread.unpark();
                // Whoever comes before the thread has looked need not wake it again.
                state.sleeps_until = Some(at);
            }
            Some(_) => {}
        }
    }
}

/// Nothing that panics is done under the lock.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where no thread can be had, what blocks is not found; all else works.
fn spawn(state: Arc<Mutex<State>>, clock: Clock) -> io::Result<Thread> {
    let thread = thread::Builder::new().name("zato-limits".to_owned()).spawn(move || watch(&state, &clock));
    thread.map(|thread| thread.thread().clone())
}

impl State {
    /// Removes all that is over at `now`.
    fn take_over(&mut self, now: Instant, clock: &Clock) -> Vec<(Delivery, AttemptResult)> {
        let mut over = Vec::new();
        while let Some(first) = self.limits.first_entry()
            && first.key().0 <= now
        {
            let ((_, id), (delivery, ends)) = first.remove_entry();
            let brought = match ends {
                Ends::Then(brought) => Some(brought),
                Ends::Limit(limit) => {
                    let brought = limit.over(clock);
                    let again =
                        limit.looks_at(clock).into_std().checked_add(SLACK).filter(|_| brought.is_none());
                    if let Some(at) = again.map(|at| at.max(now + SLACK)) {
                        self.entered.insert(id, at);
                        self.limits.insert((at, id), (delivery, Ends::Limit(limit)));
                        continue;
                    }
                    self.entered.remove(&id);
                    brought
                }
            };
            over.extend(brought.map(|brought| (delivery, brought)));
        }
        over
    }
}

/// Runs one action of the thread. A panic in it, which may be that of a subscriber to the log or of a value of a handler that
/// is dropped, is logged, and does not end the thread: it keeps all limits.
fn guarded<T>(doing: &str, delivery: Option<&Delivery>, act: impl FnOnce() -> T) -> Option<T> {
    let panic = match catch_unwind(AssertUnwindSafe(act)) {
        Ok(done) => return Some(done),
        Err(panic) => panic,
    };
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    let log = || {
        tracing::error!(target: log_target::WATCHDOG,
            service = delivery.map(|delivery| delivery.invocation.service.as_str()),
            cid = delivery.map(|delivery| tracing::field::display(delivery.invocation.cid)),
            panic = text,
            "the thread that enforces time limits panicked while {doing}; it continues with the next invocation"
        );
    };
    // The subscriber may be what panics, and what a panic leaves may panic when it is dropped.
    for second in [catch_unwind(AssertUnwindSafe(log)), catch_unwind(AssertUnwindSafe(|| drop(panic)))] {
        second.unwrap_or_else(std::mem::forget);
    }
    None
}

fn watch(shared: &Mutex<State>, clock: &Clock) {
    loop {
        let now = Instant::now();
        let ((on_over, on_ends), over, has_ends, last) = {
            let mut state = lock(shared);
            let Some(actions) = state.actions.clone() else { return };
            let has_ends = state.ends_at.take_if(|at| *at <= now).is_some();
            (actions, state.take_over(now, clock), has_ends, state.last.take_if(|(at, _)| *at <= now))
        };
        if let Some((_, act)) = last {
            guarded("ending a shutdown at its limit", None, act);
            continue;
        }
        for (delivery, brought) in over {
            guarded("ending an attempt at its limit", Some(&delivery), || on_over(&delivery, brought));
        }
        let next = if has_ends {
            // What a panic has left undone is looked at again.
            guarded("ending what waits", None, || on_ends())
                .unwrap_or_else(|| Some(Tick::now() + LOOKS_EVERY))
        } else {
            None
        };
        let until = {
            let mut state = lock(shared);
            let next = next.and_then(|at| at.into_std().checked_add(SLACK));
            state.ends_at = [state.ends_at, next].into_iter().flatten().min();
            let first = state.limits.first_key_value().map(|((at, _), _)| *at);
            let last = state.last.as_ref().map(|(at, _)| *at);
            state.sleeps_until = [first, state.ends_at, last].into_iter().flatten().min();
            state.sleeps_until
        };
        match until {
            Some(until) => thread::park_timeout(until.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use zato_core::{Channel, Invocation, Payload, ServiceName};

    use super::*;
    use crate::base::cid;
    use crate::record::{Lease, Task};

    /// Nothing that goes on takes so long.
    const WAIT: Duration = Duration::from_mins(1);

    fn delivery() -> Delivery {
        let service = ServiceName::linked("watch.over");
        let invocation = Invocation::root(cid::mint(None), service, Payload::empty(), Channel::InvokeAsync);
        Delivery {
            invocation: Arc::new(invocation),
            attempt: 1,
            before: None,
            started_at: Clock::default().now(),
            lease: Lease { number: 1, place: 0 },
            task: Task::Run,
        }
    }

    #[test]
    fn the_thread_goes_on_after_a_panic_in_what_it_does() {
        let watch = Watchdog::new(Clock::default());
        let (over, overs) = channel();
        let (ended, ends) = channel();
        watch.start(
            Arc::new(move |delivery, _| {
                over.send(delivery.invocation.cid).expect("the test listens");
                panic!("ending an attempt panics");
            }),
            Arc::new(move || {
                ended.send(()).expect("the test listens");
                panic!("ending what waits panics");
            }),
        );
        for _ in 0..2 {
            let delivery = delivery();
            watch.note(&delivery, Duration::ZERO, AttemptResult::DeadlinePassed);
            assert_eq!(overs.recv_timeout(WAIT).expect("it goes on"), delivery.invocation.cid);
            watch.ends_at(Tick::now());
            ends.recv_timeout(WAIT).expect("it goes on");
        }
        let (acted, acts) = channel();
        for _ in 0..2 {
            let acted = acted.clone();
            watch.at_last(Duration::ZERO, move || {
                acted.send(()).expect("the test listens");
                panic!("the end of a shutdown panics");
            });
            acts.recv_timeout(WAIT).expect("it goes on");
        }
        watch.close();
    }

    #[cfg(feature = "cli")]
    #[test]
    fn a_panic_is_logged_with_what_it_was_about() {
        #[derive(Clone, Default)]
        struct Log(Arc<Mutex<Vec<u8>>>);

        impl std::io::Write for Log {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().expect("nobody panics").extend_from_slice(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        let (log, delivery) = (Log::default(), delivery());
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let done = tracing::subscriber::with_default(subscriber, || {
            guarded("ending an attempt", Some(&delivery), || panic!("number {}", 7))
        });
        assert_eq!(done, None::<()>);
        let log = String::from_utf8(log.0.lock().expect("nobody panics").clone()).expect("UTF-8");
        let cid = format!("cid={}", delivery.invocation.cid);
        for part in ["ERROR", "service=\"watch.over\"", &cid, "panic=\"number 7\"", "while ending an attempt"]
        {
            assert!(log.contains(part), "{part}: {log}");
        }
    }
}
