//! Limits watched from outside: a handler that blocks its thread cannot keep its attempt from ending.
//!
//! What waits for something is stopped where it waits, by a timer that it is polled with. What never comes back from a poll
//! is found here, by a thread that sleeps until the earliest limit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::record::{AttemptId, Delivery};
use crate::retry::Brought;

/// How long after its limit an attempt that has not ended is taken for one that blocks: its own timer is late by as
/// much where its threads are busy.
const SLACK: Duration = Duration::from_millis(20);

/// What is done about an attempt that is over while its handler blocks.
pub(crate) type OnOver = dyn Fn(&Delivery, Brought) + Send + Sync;

/// The attempts that have a limit, and the thread that watches them once there has been one.
pub(crate) struct Watch {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    /// By the time at which they are over. Each is removed by the one who put it in, or by the thread.
    limits: BTreeMap<(Instant, AttemptId), (Delivery, Brought)>,
    /// The thread, and until when it sleeps; none where it waits for a limit to come.
    thread: Option<Thread>,
    sleeps_until: Option<Instant>,
    /// What to do; none before the runtime has started and after it has ended.
    on_over: Option<Arc<OnOver>>,
}

/// An attempt that is watched; dropped when its handler has been.
pub(crate) struct Watched {
    state: Arc<Mutex<State>>,
    key: (Instant, AttemptId),
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.state).limits.remove(&self.key);
    }
}

impl Watch {
    /// Watches nothing yet.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { state: Arc::default(), clock }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Says what to do about what is over.
    pub(crate) fn start(&self, on_over: Arc<OnOver>) {
        self.state().on_over = Some(on_over);
    }

    /// Watches no more; the thread ends.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.on_over = None;
        state.limits.clear();
        if let Some(thread) = state.thread.take() {
            thread.unpark();
        }
    }

    /// Watches an attempt until what is returned is dropped.
    pub(crate) fn enter(&self, delivery: &Delivery, left: Duration, brings: Brought) -> Option<Watched> {
        Some(Watched { state: self.state.clone(), key: self.insert(delivery, left, brings)? })
    }

    /// Watches an attempt for as long; one that ends before is not taken for one that blocks.
    pub(crate) fn note(&self, delivery: &Delivery, left: Duration, brings: Brought) {
        self.insert(delivery, left, brings);
    }

    /// None where the limit is so far away that no clock can tell. By a test's clock no handler blocks for any time.
    fn insert(&self, delivery: &Delivery, left: Duration, brings: Brought) -> Option<(Instant, AttemptId)> {
        if self.clock.is_a_tests() {
            return None;
        }
        let key = (Instant::now().checked_add(left)?.checked_add(SLACK)?, delivery.id());
        let mut state = self.state();
        state.on_over.as_ref()?;
        state.limits.insert(key, (delivery.clone(), brings));
        match &state.thread {
            None => state.thread = spawn(self.state.clone()),
            Some(thread) if state.sleeps_until.is_none_or(|until| key.0 < until) => {
                thread.unpark();
                // Whoever comes before the thread has looked need not wake it again.
                state.sleeps_until = Some(key.0);
            }
            Some(_) => {}
        }
        Some(key)
    }
}

/// Nothing that panics is done under the lock.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where no thread can be had, what blocks is not found; all else works.
fn spawn(state: Arc<Mutex<State>>) -> Option<Thread> {
    let thread = thread::Builder::new().name("zato-limits".to_owned()).spawn(move || watch(&state));
    match thread {
        Ok(thread) => Some(thread.thread().clone()),
        Err(error) => {
            tracing::warn!(%error, "no thread to watch limits: a handler that blocks is not ended by them");
            None
        }
    }
}

fn watch(shared: &Mutex<State>) {
    loop {
        let (on_over, over, until) = {
            let mut state = lock(shared);
            let Some(on_over) = state.on_over.clone() else { return };
            let now = Instant::now();
            let mut over = Vec::new();
            while let Some(first) = state.limits.first_entry()
                && first.key().0 <= now
            {
                over.push(first.remove());
            }
            state.sleeps_until = state.limits.first_key_value().map(|((at, _), _)| *at);
            (on_over, over, state.sleeps_until)
        };
        for (delivery, brings) in over {
            on_over(&delivery, brings);
        }
        match until {
            Some(until) => thread::park_timeout(until.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
    }
}
