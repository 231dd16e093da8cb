//! The state behind its lock, what passes by it, and who is woken when.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, OnceLock};

use tokio::sync::Notify;
use tokio::time::Instant;
use zato_core::ServiceName;

use super::nowhere::Nowhere;
use super::track::Track;
use crate::apart::Apart;
use crate::config::Config;
use crate::engine::contract::{Accepted, OnEnds, Ring};
use crate::engine::line::Line;
use crate::engine::state::{NotTaken, State};
use crate::lock::lock;
use crate::record::{Accept, Batch, Delivery, Settle, Verdict};

pub(crate) struct Memory {
    state: Apart<Mutex<State<Nowhere>>>,
    /// What is on its way past the state; none before the runtime has said who takes it.
    pub(super) track: OnceLock<Track>,
    /// How many may wait, here and on their way.
    pub(super) max_waiting: usize,
    /// Wakes a worker, if one sleeps; none before the runtime has said how.
    pub(super) ring: OnceLock<Ring>,
    /// Receives when something that waits is to be ended; none before the runtime has said who does.
    pub(super) on_ends: OnceLock<OnEnds>,
    /// Calls from outside that wait for room.
    pub(super) line: Line,
    /// Woken when nothing waits and nothing runs, and when the engine is closed.
    pub(super) idle: Notify,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// The state, locked. What may pass by is decided anew when it is released.
pub(super) struct Locked<'a> {
    state: MutexGuard<'a, State<Nowhere>>,
    memory: &'a Memory,
}

impl Deref for Locked<'_> {
    type Target = State<Nowhere>;

    fn deref(&self) -> &Self::Target {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.state
    }
}

impl Locked<'_> {
    /// Lets what has become due take its place, behind all that came before.
    fn catch_up(&mut self) {
        if self.memory.is_passable() && self.is_due() {
            self.memory.enter_passing(&mut self.state);
        }
        self.state.catch_up();
    }

    /// Changes the state in a way that may end invocations, and finishes what follows once the lock is released.
    pub(super) fn change<T>(mut self, change: impl FnOnce(&mut State<Nowhere>) -> T) -> T {
        self.catch_up();
        let changed = change(&mut self);
        if self.has_aftermath() {
            let aftermath = self.take_aftermath();
            drop(self);
            aftermath.finish();
        }
        changed
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.memory.let_pass_or_not(&mut self.state);
        if let Some(tell) = self.memory.on_ends.get()
            && let Some(at) = self.state.end_to_tell()
        {
            tell(at);
        }
    }
}

impl Memory {
    pub(crate) fn new(config: &Config) -> Self {
        let max_waiting = config.max_waiting(false);
        Self {
            state: Apart(Mutex::new(State::new(config, max_waiting, Nowhere::new(config)))),
            track: OnceLock::new(),
            max_waiting,
            ring: OnceLock::new(),
            on_ends: OnceLock::new(),
            line: Line::default(),
            idle: Notify::new(),
        }
    }

    /// The state without what passes by it: whoever takes this asks for nothing that may be on its way.
    pub(super) fn state(&self) -> Locked<'_> {
        let mut state = lock(&self.state);
        state.beside = self.track.get().map_or((0, 0), Track::beside);
        Locked { state, memory: self }
    }

    /// The state with everything in it.
    pub(super) fn whole(&self) -> Locked<'_> {
        let mut state = self.state();
        self.enter_passing(&mut state);
        state
    }

    /// The state for what neither looks for anything, nor has anything wait but invocations of these services. What passes by
    /// is in nobody's way then, unless it would be overtaken.
    fn state_for<'s>(&self, mut services: impl Iterator<Item = &'s ServiceName>) -> Locked<'_> {
        let overtakes = |track: &Track| services.any(|service| track.has_waiting(service));
        let mut state = self.state();
        if self.track.get().filter(|track| track.is_open()).is_some_and(overtakes) {
            self.enter_passing(&mut state);
        }
        state
    }

    /// The state for what has been handed out and is to be settled.
    pub(super) fn state_to_settle(&self, settle: &Settle) -> Locked<'_> {
        let mut state = match &settle.verdict {
            Verdict::End { callbacks, .. } if settle.inner.is_empty() => {
                self.state_for(callbacks.iter().map(|callback| &callback.service))
            }
            _ => self.whole(),
        };
        // What is kept is in the order in which it ended.
        state.enter_ended();
        state
    }

    /// The state for what comes.
    fn state_to_accept(&self, accept: &Accept) -> Locked<'_> {
        let looks = accept.by.is_some() || accept.brings_cid || accept.members.is_some();
        if looks || accept.invocation.again_of().is_some() {
            return self.whole();
        }
        self.state_for(std::iter::once(&accept.invocation.service))
    }

    /// Hands out up to `most`, and wakes whom that makes room for. Where there is nothing: when a timer rings.
    pub(super) fn hand_out(&self, most: usize) -> Result<Batch<Delivery>, Option<Instant>> {
        let mut state = self.state();
        state.catch_up();
        // A worker leaves most of what waits to the others: what it takes stands behind what it runs.
        let most = most.min(1 + state.startable() / 4);
        let mut batch = Batch::new();
        if state.can_deliver() {
            let now = state.clock.moment();
            while batch.len() < most
                && let Some(delivery) = state.deliver_next(now)
            {
                batch.push(delivery);
            }
        }
        let (more, next_ring) = (state.can_deliver(), state.next_ring());
        // What was to be ended and had ended by itself may be the last that a drain waits for.
        let drained = batch.is_empty() && state.draining && state.is_idle();
        drop(state);
        if drained {
            self.idle.notify_waiters();
        }
        if batch.is_empty() {
            return Err(next_ring);
        }
        self.line.wake();
        if more {
            self.wake_worker();
        }
        Ok(batch)
    }

    /// Hands out what is to be ended now without being run, up to `most`; and says when more is to be.
    pub(super) fn hand_out_ends(&self, most: usize) -> (Batch<Delivery>, Option<Instant>) {
        let mut state = self.state();
        state.catch_up();
        state.deliver_ends(most)
    }

    /// Wakes a worker if one sleeps. One that looks after the state has been changed sees what there is by itself; one
    /// that has looked before lay down before it took the same lock.
    pub(super) fn wake_worker(&self) {
        if let Some(ring) = self.ring.get() {
            ring();
        }
    }

    /// Wakes who waits for the end of all work, or a worker where there is some.
    pub(super) fn wake(&self, idle: bool, startable: bool) {
        if idle {
            self.idle.notify_waiters();
        }
        if startable {
            self.wake_worker();
        }
    }

    /// Settles, and wakes who has something to do then.
    pub(super) fn settle_and_wake<T>(
        &self,
        state: Locked<'_>,
        settle: impl FnOnce(&mut State<Nowhere>) -> T,
    ) -> T {
        let (answer, idle, more, rings) = state.change(|state| {
            let rang = state.next_ring();
            let answer = settle(state);
            (answer, state.is_idle(), state.can_deliver(), state.next_ring() != rang)
        });
        self.wake(idle, more || rings);
        answer
    }

    pub(super) fn take(&self, accept: Accept) -> Result<Accepted, NotTaken> {
        let accepted = self.state_to_accept(&accept).change(|state| state.accept(accept))?;
        // Whoever starts some of many wakes the next.
        self.wake_worker();
        Ok(accepted)
    }

    /// Takes at once what may be taken at once: a newcomer from outside stands behind those who wait already.
    pub(super) fn take_in_turn(&self, accept: Accept) -> Result<Accepted, NotTaken> {
        if accept.by.is_none() && !self.line.is_empty() {
            return Err(NotTaken::NoRoom(Box::new(accept)));
        }
        self.take(accept)
    }
}
