//! The `Engine` trait on top of the state: the lock, and who is woken when.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use zato_core::bus::Step;
use zato_core::{Cid, Invocation, Outcome, ServiceName};

use super::nowhere::Nowhere;
use crate::config::Config;
use crate::engine::contract::{
    Accepted, Capability, Engine, LeaseLost, LookUps, Refused, Settled, StoreFault,
};
use crate::engine::line::Line;
use crate::engine::state::{NotTaken, State};
use crate::found::{DiscardAnswer, Filter, Found, Tree};
use crate::record::{Accept, AttemptId, Batch, CancelAnswer, Delivery, Hosted, Join, Settle};

/// How often a thread looks whether the lock is free before it goes to sleep: some microseconds.
const LOOKS: u32 = 200;

pub(crate) struct Memory {
    state: Mutex<State<Nowhere>>,
    /// Woken once for everything that can be started.
    startable: Notify,
    /// How many workers wait; counted under the lock, when they have found nothing.
    sleepers: AtomicUsize,
    /// Calls from outside that wait for room.
    line: Line,
    /// Woken when nothing waits and nothing runs, and when the engine is closed.
    idle: Notify,
}

/// A worker that has been counted as one that waits.
struct Asleep<'a>(&'a AtomicUsize);

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            state: Mutex::new(State::new(config, config.max_waiting(false), Nowhere::new(config))),
            startable: Notify::new(),
            sleepers: AtomicUsize::new(0),
            line: Line::default(),
            idle: Notify::new(),
        }
    }

    /// Nothing that panics is done under the lock, so a poisoned one guards a state that is whole.
    ///
    /// It is held for a fraction of a microsecond, and a thread that goes to sleep for it costs many: whoever finds
    /// it taken looks again for a while.
    fn state(&self) -> MutexGuard<'_, State<Nowhere>> {
        for _ in 0..LOOKS {
            match self.state.try_lock() {
                Ok(state) => return state,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state in a way that may end invocations, and finishes what follows once the lock is released.
    fn change<T>(&self, change: impl FnOnce(&mut State<Nowhere>) -> T) -> T {
        let mut state = self.state();
        state.catch_up();
        let changed = change(&mut state);
        if state.has_aftermath() {
            let aftermath = state.take_aftermath();
            drop(state);
            aftermath.finish();
        }
        changed
    }

    /// Hands out up to `most`, and wakes whom that makes room for. Where there is nothing: when a timer rings, and who asks
    /// is counted as one that sleeps if it `is_new`.
    fn hand_out(&self, most: usize, is_new: bool) -> Result<Batch<Delivery>, Option<Instant>> {
        let mut state = self.state();
        state.catch_up();
        // A worker leaves most of what waits to the others: what it takes stands behind what it runs.
        let most = most.min(1 + state.startable() / 4);
        let (mut batch, now) = (Batch::new(), state.clock.moment());
        while batch.len() < most {
            let Some(delivery) = state.deliver_next(now) else { break };
            batch.push(delivery);
        }
        let (more, next_ring) = (state.can_deliver(), state.next_ring());
        // What was to be ended and had ended by itself may be the last that a drain waits for.
        let drained = batch.is_empty() && state.draining && state.is_idle();
        if batch.is_empty() && is_new {
            self.sleepers.fetch_add(1, Ordering::SeqCst);
        }
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

    /// Wakes a worker if one sleeps. One that looks after the state has been changed sees what there is by itself; one
    /// that has looked before was counted under the same lock.
    fn wake_worker(&self) {
        if self.sleepers.load(Ordering::Relaxed) > 0 {
            self.startable.notify_one();
        }
    }

    /// Wakes who waits for the end of all work, or a worker where there is some.
    fn wake(&self, idle: bool, startable: bool) {
        if idle {
            self.idle.notify_waiters();
        }
        if startable {
            self.wake_worker();
        }
    }

    /// Settles, and wakes who has something to do then.
    fn settle_and_wake<T>(&self, settle: impl FnOnce(&mut State<Nowhere>) -> T) -> T {
        let (answer, idle, more, rings) = self.change(|state| {
            let rang = state.next_ring();
            let answer = settle(state);
            (answer, state.is_idle(), state.can_deliver(), state.next_ring() != rang)
        });
        self.wake(idle, more || rings);
        answer
    }

    fn take(&self, accept: Accept) -> Result<Accepted, NotTaken> {
        let accepted = self.change(|state| state.accept(accept))?;
        // Whoever starts some of many wakes the next.
        self.wake_worker();
        Ok(accepted)
    }

    /// Takes at once what may be taken at once: a newcomer from outside stands behind those who wait already.
    fn take_in_turn(&self, accept: Accept) -> Result<Accepted, NotTaken> {
        if accept.by.is_none() && !self.line.is_empty() {
            return Err(NotTaken::NoRoom(Box::new(accept)));
        }
        self.take(accept)
    }
}

impl LookUps for Memory {
    fn find(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<Option<Found>>, StoreFault>> {
        let state = self.state();
        Step::now(batch.into_iter().map(|cid| state.find(cid)).collect())
    }

    fn tree(&self, root: Cid) -> Step<'_, Result<Tree, StoreFault>> {
        Step::now(Ok(self.state().tree(root)))
    }

    fn list(&self, filter: &Filter) -> Step<'_, Result<Vec<Found>, StoreFault>> {
        Step::now(Ok(self.state().list(filter)))
    }
}

impl Engine for Memory {
    fn url(&self) -> &'static str {
        "memory:"
    }

    fn capabilities(&self) -> &[Capability] {
        &[]
    }

    fn announce(&self, services: &[Hosted], join: Arc<dyn Join>) -> Result<(), StoreFault> {
        self.state().announce(services, join);
        Ok(())
    }

    fn stage(&self, group: Cid, members: Vec<Arc<Invocation>>) -> Step<'_, Result<(), Refused>> {
        Step::now(self.state().stage(group, members))
    }

    fn room(&self, members: usize, bytes: usize) -> Step<'_, ()> {
        let has_room = move || self.state().has_room_outside(members, bytes);
        if self.line.is_empty() && has_room() {
            return Step::now(());
        }
        Step::later(self.line.wait_until(has_room))
    }

    fn unstage(&self, group: Cid) -> Step<'_, ()> {
        let dropped = self.state().unstage(group);
        drop(dropped);
        self.line.wake();
        Step::now(())
    }

    fn accept(&self, batch: Batch<Accept>) -> Step<'_, Batch<Result<Accepted, Refused>>> {
        let mut answers = Batch::with_capacity(batch.len());
        let mut left = batch.into_iter();
        for accept in left.by_ref() {
            match self.take_in_turn(accept) {
                Ok(accepted) => answers.push(Ok(accepted)),
                Err(NotTaken::Refused(refused)) => answers.push(Err(refused)),
                Err(NotTaken::NoRoom(accept)) => {
                    let accept = *accept;
                    return Step::later(async move {
                        answers.push(self.line.wait(accept, |accept| self.take(accept)).await);
                        for accept in left {
                            answers.push(self.line.wait(accept, |accept| self.take(accept)).await);
                        }
                        answers
                    });
                }
            }
        }
        Step::now(answers)
    }

    fn accept_one(&self, accept: Accept) -> Step<'_, Result<Accepted, Refused>> {
        match self.take_in_turn(accept) {
            Ok(accepted) => Step::now(Ok(accepted)),
            Err(NotTaken::Refused(refused)) => Step::now(Err(refused)),
            Err(NotTaken::NoRoom(accept)) => Step::later(self.line.wait(*accept, |accept| self.take(accept))),
        }
    }

    fn deliver(&self, most: usize) -> Step<'_, Batch<Delivery>> {
        let mut rings = match self.hand_out(most, true) {
            Ok(batch) => return Step::now(batch),
            Err(rings) => rings,
        };
        let asleep = Asleep(&self.sleepers);
        Step::later(async move {
            let _asleep = asleep;
            loop {
                // A word that has come since the look is kept for whoever waits first.
                let startable = self.startable.notified();
                match rings {
                    // Whoever accepts what rings earlier wakes a worker, and that one waits for the earlier.
                    Some(rings) => {
                        let _ = timeout_at(rings, startable).await;
                    }
                    None => startable.await,
                }
                match self.hand_out(most, false) {
                    Ok(batch) => return batch,
                    Err(next) => rings = next,
                }
            }
        })
    }

    fn settle(&self, batch: Batch<Settle>) -> Step<'static, Batch<Result<Settled, LeaseLost>>> {
        Step::now(
            self.settle_and_wake(|state| batch.into_iter().map(|settle| state.settle(settle)).collect()),
        )
    }

    fn settle_one(&self, settle: Settle) -> Step<'static, Result<Settled, LeaseLost>> {
        Step::now(self.settle_and_wake(|state| state.settle(settle)))
    }

    fn release(&self, attempt: AttemptId) {
        let mut state = self.state();
        state.release(attempt);
        let idle = state.is_idle();
        drop(state);
        self.wake(idle, true);
    }

    fn pause(&self, service: &ServiceName, paused: bool) -> Step<'_, Result<(), StoreFault>> {
        let mut state = self.state();
        state.pause(service, paused);
        let idle = state.is_idle();
        drop(state);
        self.wake(idle, !paused);
        Step::now(Ok(()))
    }

    fn cancel(
        &self,
        batch: Batch<Cid>,
        with_tree: bool,
    ) -> Step<'_, Result<Batch<Option<CancelAnswer>>, StoreFault>> {
        let mut state = self.state();
        let answers = batch.into_iter().map(|cid| state.cancel(cid, with_tree)).collect();
        drop(state);
        self.wake_worker();
        Step::now(answers)
    }

    fn below(&self, cid: Cid) -> Step<'_, Result<Vec<Cid>, StoreFault>> {
        Step::now(Ok(self.state().below(cid)))
    }

    fn is_running(&self, attempt: AttemptId) -> bool {
        self.state().is_running(attempt)
    }

    fn outcome(&self, cid: Cid) -> Step<'_, Result<Option<Outcome>, StoreFault>> {
        match self.state().outcome(cid) {
            Err(fault) => Step::now(Err(fault)),
            Ok(None) => Step::now(Ok(None)),
            Ok(Some(Ok(outcome))) => Step::now(Ok(Some(outcome))),
            Ok(Some(Err(told))) => Step::later(async move { Ok(told.await.ok()) }),
        }
    }

    fn discard(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<DiscardAnswer>, StoreFault>> {
        let mut state = self.state();
        Step::now(batch.into_iter().map(|cid| state.discard(cid)).collect())
    }

    fn drain(&self) -> Step<'_, ()> {
        self.state().draining = true;
        self.line.wake_all();
        Step::later(async move {
            loop {
                let idle = self.idle.notified();
                tokio::pin!(idle);
                // Listening must begin before the look, or a change between the two would be missed.
                idle.as_mut().enable();
                if self.state().is_idle() {
                    return;
                }
                idle.await;
            }
        })
    }

    fn close(&self) -> usize {
        let ended = self.change(State::close);
        self.line.wake_all();
        self.idle.notify_waiters();
        ended
    }
}
