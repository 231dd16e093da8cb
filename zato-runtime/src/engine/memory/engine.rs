//! The memory engine: the state behind its lock, and the workers that are woken when it changes.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, OnceLock};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::inbox::{Inbox, MOST_BYTES};
use super::store::MemoryStore;
use crate::base::cache_padded::CachePadded;
use crate::base::lock::lock;
use crate::config::Config;
use crate::engine::backpressure::Waiters;
use crate::engine::contract::{Accepted, LeaseLost, OnEnds, Settled, WakeWorker};
use crate::engine::state::{NotTaken, State};
use crate::record::{Accept, Batch, Delivery, Settle};

pub(crate) struct Memory {
    state: CachePadded<Mutex<State<MemoryStore>>>,
    /// Calls from outside that are not in the state yet.
    inbox: Inbox,
    /// Wakes a worker, if one sleeps; none before the runtime has said how.
    pub(super) ring: OnceLock<WakeWorker>,
    /// Receives the time of the next timer; none before the runtime has said who does.
    pub(super) on_ends: OnceLock<OnEnds>,
    /// Calls from outside that wait for room.
    pub(super) line: Waiters,
    /// Woken when nothing waits and nothing runs, and when the engine is closed.
    pub(super) idle: Notify,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// The state, locked, with every call in it that was made before.
pub(super) struct Locked<'a> {
    memory: &'a Memory,
    state: MutexGuard<'a, State<MemoryStore>>,
    /// Whether a call from outside was taken, so that there may be room for more in the inbox.
    has_taken: bool,
}

impl Deref for Locked<'_> {
    type Target = State<MemoryStore>;

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
    /// Changes the state in a way that may end invocations, and finishes what follows once the lock is released.
    pub(super) fn change<T>(mut self, change: impl FnOnce(&mut State<MemoryStore>) -> T) -> T {
        self.run_due_timers();
        let changed = change(&mut self);
        if self.has_deferred() {
            let deferred = self.take_deferred();
            drop(self);
            deferred.finish();
        }
        changed
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Self { memory, state, has_taken } = self;
        let room = if memory.line.is_empty() { state.room_unseen(MOST_BYTES) } else { 0 };
        memory.inbox.set_room(room, *has_taken);
        if let Some(tell) = memory.on_ends.get()
            && let Some(at) = state.timer_to_tell()
        {
            tell(at);
        }
    }
}

impl Memory {
    pub(crate) fn new(config: &Config) -> Self {
        let max_waiting = config.max_waiting(false);
        Self {
            state: CachePadded(Mutex::new(State::new(config, max_waiting, MemoryStore::new(config)))),
            inbox: Inbox::default(),
            ring: OnceLock::new(),
            on_ends: OnceLock::new(),
            line: Waiters::default(),
            idle: Notify::new(),
        }
    }

    /// The state, locked.
    pub(super) fn state(&self) -> Locked<'_> {
        let mut state = lock(&self.state);
        let calls = self.inbox.take();
        let has_taken = !calls.is_empty();
        if has_taken {
            // An invocation that is due goes before a call that came later.
            state.run_due_timers();
            let mut calls = calls;
            calls.drain(..).for_each(|call| state.hold(call, None));
            self.inbox.reuse(calls);
        }
        Locked { memory: self, state, has_taken }
    }

    /// The state, locked, with everything that has ended indexed, for whoever looks at it.
    pub(super) fn state_to_look(&self) -> Locked<'_> {
        let mut state = self.state();
        state.index_history();
        state
    }

    /// The state, locked, for a change after which no call from outside is taken.
    pub(super) fn state_to_close(&self) -> Locked<'_> {
        self.inbox.close();
        self.state()
    }

    /// Hands out up to `most`, and wakes whom that makes room for. Where there is nothing: when a timer rings.
    pub(super) fn hand_out(&self, most: usize) -> Result<Batch<Delivery>, Option<Instant>> {
        let mut state = self.state();
        state.run_due_timers();
        // A worker leaves most of what waits to the others: what it takes stands behind what it runs.
        let most = most.min(1 + state.startable() / 4);
        let mut batch = Batch::new();
        if state.can_deliver() {
            let now = state.clock.now();
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

    /// Hands out what is to be ended now without being run, up to `most`, and wakes a worker if something may start; says when
    /// the next timer rings.
    pub(super) fn hand_out_ends(&self, most: usize) -> (Batch<Delivery>, Option<Instant>) {
        let mut state = self.state();
        state.run_due_timers();
        let (ends, next) = state.deliver_ends(most);
        let startable = state.can_deliver();
        drop(state);
        if !ends.is_empty() {
            self.line.wake();
        }
        if startable {
            // The worker that waited for this timer may be blocked by now.
            self.wake_worker();
        }
        (ends, next)
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
    pub(super) fn end(&self, settle: Settle) -> Result<Settled, LeaseLost> {
        let (answer, idle, more, rings) = self.state().change(|state| {
            let rang = state.next_ring();
            let answer = state.settle(settle);
            (answer, state.is_idle(), state.can_deliver(), state.next_ring() != rang)
        });
        self.wake(idle, more || rings);
        answer
    }

    pub(super) fn take(&self, accept: Accept) -> Result<Accepted, NotTaken> {
        let mut state = if looks_back(&accept) { self.state_to_look() } else { self.state() };
        state.has_taken |= accept.by.is_none();
        let accepted = state.change(|state| state.accept(accept))?;
        // Whoever starts some of many wakes the next.
        self.wake_worker();
        Ok(accepted)
    }

    /// Takes at once what may be taken at once: a newcomer from outside stands behind those who wait already.
    pub(super) fn take_in_turn(&self, accept: Accept) -> Result<Accepted, NotTaken> {
        if accept.by.is_none() && !self.line.is_empty() {
            return Err(NotTaken::NoRoom(Box::new(accept)));
        }
        if let Some(accept) = self.inbox.push(accept) {
            return self.take(accept);
        }
        self.wake_worker();
        Ok(Accepted::new(false, None))
    }
}

/// Whether what has ended decides about a call.
fn looks_back(accept: &Accept) -> bool {
    let Accept { key, digest, brings_cid, .. } = accept;
    key.is_some() || digest.is_some() || *brings_cid || accept.invocation.again_of().is_some()
}
