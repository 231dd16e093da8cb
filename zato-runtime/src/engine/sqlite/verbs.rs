//! The engine's verbs, by means of the state and the file.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use zato_core::bus::Step;
use zato_core::{Cid, Invocation, Outcome, ServiceName};

use super::engine::{Inner, Sqlite};
use super::file::disk_space;
use super::restart;
use crate::engine::contract::{
    Accepted, Capability, Engine, LeaseLost, OnEnds, OnRecorded, Refused, Settled, StoreFault, WakeWorker,
};
use crate::engine::state::{MOST_ENDS, NotTaken, State};
use crate::record::lookup::DiscardAnswer;
use crate::record::{
    Accept, AttemptId, Batch, CancelAnswer, Delivery, Hosted, Join, Settle, is_recorded_at_end,
};

/// An invocation that is on its way to the disk.
struct Taken {
    recorded: Step<'static, Result<Option<Accepted>, StoreFault>>,
}

impl Taken {
    async fn recorded(self) -> Result<Accepted, Refused> {
        match self.recorded.await {
            Ok(Some(accepted)) => Ok(accepted),
            Ok(None) => Err(Refused::Draining),
            Err(fault) => Err(Refused::Store(fault)),
        }
    }
}

/// A refusal by a fault that came before anything was changed.
fn not_taken(fault: StoreFault) -> NotTaken {
    NotTaken::Refused(Refused::Store(fault.before_any_change()))
}

impl Inner {
    /// Takes an invocation into the state. The answer is there when it is on disk.
    fn take(self: &Arc<Self>, accept: Accept) -> Result<Taken, NotTaken> {
        if self.guarded().state.store.is_closed() {
            return Err(NotTaken::Refused(if accept.by.is_some() {
                Refused::Over
            } else {
                Refused::Draining
            }));
        }
        if let Some(fault) = &*self.fault.borrow() {
            return Err(not_taken(fault.clone()));
        }
        if self.is_room_low() && !self.guarded().state.draining {
            if accept.by.is_some() {
                return Err(not_taken(self.space.fault()));
            }
            self.watch_space();
            return Err(NotTaken::NoRoom(Box::new(accept)));
        }
        if is_recorded_at_end(&accept.invocation) {
            return self.take_unrecorded(accept);
        }
        let mut refused = None;
        let recorded = self.change(true, |state| match state.accept(accept) {
            Ok(accepted) => Some(accepted),
            Err(not_taken) => {
                refused = Some(not_taken);
                None
            }
        });
        match refused {
            // What had to be read could not be: the state is as it was.
            Some(NotTaken::Refused(Refused::Store(fault))) => Err(not_taken(fault)),
            Some(refused) => Err(refused),
            None => Ok(Taken { recorded }),
        }
    }

    /// The same for what is recorded when it ends: there is nothing to wait for.
    fn take_unrecorded(self: &Arc<Self>, accept: Accept) -> Result<Taken, NotTaken> {
        let mut taken = Err(NotTaken::Refused(Refused::Draining));
        let change = |state: &mut State<_>| taken = state.accept(accept);
        self.change_and(change, || |_| Batch::new()).map_err(not_taken)?;
        match taken {
            Err(NotTaken::Refused(Refused::Store(fault))) => Err(not_taken(fault)),
            taken => Ok(Taken { recorded: Step::now(Ok(Some(taken?))) }),
        }
    }

    /// Lets those in who wait, once there is room on the disk again.
    fn watch_space(self: &Arc<Self>) {
        if !self.is_watching_space.swap(true, Ordering::SeqCst) {
            self.look_at_space();
        }
    }

    /// Looks now, and again as long as there is no room. Who waits for room looks after it has come to wait, so whoever
    /// finds none watches again.
    fn look_at_space(self: &Arc<Self>) {
        if self.is_room_low() && !self.is_closing.load(Ordering::SeqCst) {
            let inner = Arc::downgrade(self);
            let look = move || inner.upgrade().into_iter().for_each(|inner| inner.look_at_space());
            self.threads.checkpointer.run_at(Instant::now() + disk_space::LOOK, look);
        } else {
            self.is_watching_space.store(false, Ordering::SeqCst);
            self.line.wake();
        }
    }
}

impl Engine for Sqlite {
    fn url(&self) -> &str {
        &self.0.url
    }

    fn capabilities(&self) -> &[Capability] {
        &[Capability::Durable]
    }

    fn announce(&self, services: &[Hosted], join: Arc<dyn Join>, _: WakeWorker) -> Result<(), StoreFault> {
        let inner = &self.0;
        let announced = inner.file().announce(services).map_err(|error| StoreFault::new(&error))?;
        // Once: whoever comes second finds it set.
        let _ = inner.announced.set(announced);
        let left = inner.as_it_is_now()?;
        let mut restored = Ok(());
        let leaves_alone = inner.leaves_alone;
        // What it writes down is on its way, before all else.
        drop(inner.change(false, |state| {
            state.announce(services, join);
            restored = restart::restore(state, &inner.begun, leaves_alone);
        }));
        restored?;
        inner.count_left(left);
        inner.feed();
        Ok(())
    }

    fn announced(&self, name: &str) -> Option<ServiceName> {
        self.0.announced.get()?.get(name).copied()
    }

    fn stage(&self, group: Cid, members: Vec<Arc<Invocation>>) -> Step<'_, Result<(), Refused>> {
        Step::now(self.0.guarded().state.stage(group, members))
    }

    fn room(&self, members: usize, bytes: usize) -> Step<'_, ()> {
        let has_room = move || {
            let is_low = self.0.is_room_low();
            if is_low {
                self.0.watch_space();
            }
            !is_low && self.0.guarded().state.has_room_outside(members, bytes)
        };
        if self.0.line.is_empty() && has_room() {
            return Step::now(());
        }
        Step::later(self.0.line.wait_until(has_room))
    }

    fn unstage(&self, group: Cid) -> Step<'_, ()> {
        let dropped = self.0.guarded().state.unstage(group);
        drop(dropped);
        self.0.line.wake();
        Step::now(())
    }

    fn accept(&self, batch: Batch<Accept>) -> Step<'_, Batch<Result<Accepted, Refused>>> {
        let inner = &self.0;
        // All are on their way before the first is waited for.
        let taken: Batch<_> = batch
            .into_iter()
            .map(|accept| {
                if accept.by.is_none() && !inner.line.is_empty() {
                    return Err(NotTaken::NoRoom(Box::new(accept)));
                }
                inner.take(accept)
            })
            .collect();
        Step::later(async move {
            let mut answers = Batch::with_capacity(taken.len());
            for taken in taken {
                let taken = match taken {
                    Err(NotTaken::NoRoom(accept)) => {
                        inner.line.wait(*accept, |accept| inner.take(accept)).await
                    }
                    Err(NotTaken::Refused(refused)) => Err(refused),
                    Ok(taken) => Ok(taken),
                };
                answers.push(match taken {
                    Ok(taken) => taken.recorded().await,
                    Err(refused) => Err(refused),
                });
            }
            answers
        })
    }

    fn deliver(&self, most: usize) -> Step<'_, Batch<Delivery>> {
        match self.0.take_ready(most) {
            none if none.is_empty() => Step::later(self.0.deliver(most)),
            ready => Step::now(ready),
        }
    }

    fn on_ends(&self, tell: OnEnds) {
        // Once: whoever comes second finds it set.
        let _ = self.0.on_ends.set(tell);
    }

    fn deliver_ends(&self) -> (Batch<Delivery>, Option<tokio::time::Instant>) {
        self.0.hand_out_ends(MOST_ENDS)
    }

    fn begin(&self, delivery: &Delivery) -> Step<'_, bool> {
        self.0.begun.prepare();
        let delivery = delivery.clone();
        let begun = self.0.change(false, move |state| state.begin(&delivery));
        self.0.startable.notify_one();
        Step::later(async move { begun.await.unwrap_or(false) })
    }

    fn begins(&self, attempt: AttemptId) {
        self.0.begun.note(attempt);
    }

    fn settle(
        &self,
        settle: Settle,
        then: &mut dyn FnMut() -> OnRecorded,
    ) -> Option<Result<Settled, LeaseLost>> {
        // What could not be written before the engine was closed has not happened: the next process finds it running.
        let then = || {
            let then = then();
            move |settled: Option<_>| then(settled.unwrap_or(Err(LeaseLost)))
        };
        let settled = self.0.change_and(|state| state.settle(settle), then).unwrap_or(Some(Err(LeaseLost)));
        self.0.tell_of_fault();
        settled
    }

    fn release(&self, attempt: AttemptId) {
        drop(self.0.change(false, move |state| state.release(attempt)));
        self.0.startable.notify_one();
    }

    fn pause(&self, service: &ServiceName, paused: bool) -> Step<'_, Result<(), StoreFault>> {
        let paused = self.0.change(true, |state| state.pause(service, paused));
        self.0.startable.notify_one();
        paused
    }

    fn cancel(
        &self,
        batch: Batch<Cid>,
        with_tree: bool,
    ) -> Step<'_, Result<Batch<Option<CancelAnswer>>, StoreFault>> {
        let cancelled = self.0.change(true, move |state| {
            batch.into_iter().map(|cid| state.cancel(cid, with_tree)).collect::<Result<Batch<_>, _>>()
        });
        self.0.startable.notify_one();
        Step::later(async move { cancelled.await? })
    }

    fn below(&self, cid: Cid) -> Step<'_, Result<Vec<Cid>, StoreFault>> {
        Step::later(self.0.below(cid))
    }

    fn is_running(&self, attempt: AttemptId) -> bool {
        self.0.guarded().state.is_running(attempt)
    }

    fn outcome(&self, cid: Cid) -> Step<'_, Result<Option<Outcome>, StoreFault>> {
        self.0.watch();
        let (answer, is_written) = {
            let mut guarded = self.0.guarded();
            if guarded.state.store.is_closed() {
                return Step::now(Err(self.0.closed()));
            }
            (guarded.state.outcome(cid), !guarded.state.store.unwritten_ends().contains(&cid))
        };
        match answer {
            Err(fault) => Step::now(Err(fault)),
            Ok(None) => Step::now(Ok(None)),
            // Whatever the writer does.
            Ok(Some(Ok(outcome))) if is_written => Step::now(Ok(Some(outcome))),
            Ok(Some(Ok(outcome))) => {
                let written = self.0.change(false, |_| ());
                Step::later(async move {
                    tokio::select! {
                        biased;
                        written = written => written.map(|()| Some(outcome)),
                        fault = self.damaged() => Err(fault),
                    }
                })
            }
            Ok(Some(Err(told))) => Step::later(async move {
                tokio::select! {
                    biased;
                    told = told => told.map(Some).map_err(|_| self.0.closed()),
                    fault = self.damaged() => Err(fault),
                }
            }),
        }
    }

    fn unrecorded(&self, cid: Cid) -> Step<'_, StoreFault> {
        let (mut faults, inner) = (self.0.fault.subscribe(), &self.0);
        Step::later(async move {
            let unrecorded = async {
                loop {
                    let fault = faults.borrow_and_update().clone();
                    if let Some(fault) = fault.filter(|_| inner.is_held_up(cid)) {
                        return fault;
                    }
                    if faults.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            tokio::select! {
                fault = unrecorded => fault,
                fault = self.damaged() => fault,
            }
        })
    }

    fn damaged(&self) -> Step<'_, StoreFault> {
        let mut damage = self.0.damage.subscribe();
        Step::later(async move {
            let fault = damage.wait_for(Option::is_some).await.ok().and_then(|fault| fault.clone());
            match fault {
                Some(fault) => fault,
                None => std::future::pending().await,
            }
        })
    }

    fn discard(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<DiscardAnswer>, StoreFault>> {
        let discarded = self.0.change(true, move |state| {
            batch.into_iter().map(|cid| state.discard(cid)).collect::<Result<Batch<_>, _>>()
        });
        Step::later(async move { discarded.await? })
    }

    fn drain(&self) -> Step<'_, ()> {
        let inner = &self.0;
        // One write, however many run. Nobody waits for it.
        drop(inner.change(false, State::drain));
        inner.put_back_unbegun();
        inner.line.wake_all();
        Step::later(async move {
            loop {
                let idle = inner.idle.notified();
                tokio::pin!(idle);
                // Listening must begin before the look, or a change between the two would be missed.
                idle.as_mut().enable();
                if inner.guarded().state.is_idle() {
                    return;
                }
                idle.await;
            }
        })
    }

    fn load(&self) -> (usize, usize) {
        self.0.guarded().state.load()
    }

    fn abandon(&self) -> Vec<Delivery> {
        self.0.guarded().state.abandon_in_memory()
    }

    fn close(&self) -> usize {
        let inner = &self.0;
        {
            let mut guarded = inner.guarded();
            if guarded.state.closed {
                return 0;
            }
            guarded.state.closed = true;
        }
        inner.put_back_unbegun();
        inner.guarded().state.leave();
        inner.is_closing.store(true, Ordering::SeqCst);
        inner.due.send_replace(None);
        inner.line.wake_all();
        inner.idle.notify_waiters();
        inner.startable.notify_waiters();
        inner.write_all();
        inner.reader.close();
        inner.pager.close();
        inner.mover.close();
        let is_clean = {
            // Who has asked for an outcome meanwhile is told that there is none.
            let mut guarded = inner.guarded();
            guarded.state.store.close();
            guarded.state.tell.clear();
            guarded.state.store.is_clean()
        };
        if is_clean {
            inner.begun.close();
        }
        inner.file().close();
        inner.threads.end();
        // What has not ended is kept.
        0
    }
}
