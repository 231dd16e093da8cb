//! The verbs of the memory engine.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use zato_core::bus::Step;
use zato_core::{Cid, Invocation, Outcome, ServiceName};

use super::engine::Memory;
use crate::engine::contract::{
    Accepted, Capability, Engine, LeaseLost, LookUps, OnEnds, OnRecorded, Refused, Settled, StoreFault,
    WakeWorker,
};
use crate::engine::state::{MOST_ENDS, NotTaken, State};
use crate::record::lookup::{DiscardAnswer, Filter, InvocationInfo, Tree};
use crate::record::{Accept, AttemptId, Batch, CancelAnswer, Delivery, Hosted, Join, Settle};

impl LookUps for Memory {
    fn find(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<Option<InvocationInfo>>, StoreFault>> {
        let state = self.state_to_look();
        Step::now(batch.into_iter().map(|cid| state.find(cid)).collect())
    }

    fn tree(&self, root: Cid) -> Step<'_, Result<Tree, StoreFault>> {
        Step::now(Ok(self.state_to_look().tree(root)))
    }

    fn list(&self, filter: &Filter) -> Step<'_, Result<Vec<InvocationInfo>, StoreFault>> {
        Step::now(Ok(self.state_to_look().list(filter)))
    }
}

impl Engine for Memory {
    fn url(&self) -> &'static str {
        "memory:"
    }

    fn capabilities(&self) -> &[Capability] {
        &[]
    }

    fn announce(&self, services: &[Hosted], join: Arc<dyn Join>, ring: WakeWorker) -> Result<(), StoreFault> {
        // Once: whoever comes second finds it set.
        let _ = self.ring.set(ring);
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
        let next_ring = match self.hand_out(most) {
            Ok(batch) => return Step::now(batch),
            Err(next_ring) => next_ring,
        };
        match next_ring {
            // Whoever accepts what is due earlier wakes a worker, and that one waits for the earlier.
            Some(at) => Step::later(async move {
                sleep_until(at).await;
                Batch::new()
            }),
            None => Step::later(pending()),
        }
    }

    fn wakes_workers(&self) -> bool {
        true
    }

    fn on_ends(&self, tell: OnEnds) {
        // Once: whoever comes second finds it set.
        let _ = self.on_ends.set(tell);
    }

    fn deliver_ends(&self) -> (Batch<Delivery>, Option<Instant>) {
        self.hand_out_ends(MOST_ENDS)
    }

    fn settle(
        &self,
        settle: Settle,
        _: &mut dyn FnMut() -> OnRecorded,
    ) -> Option<Result<Settled, LeaseLost>> {
        Some(self.end(settle))
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
        let mut state = self.state_to_look();
        let answers = batch.into_iter().map(|cid| state.cancel(cid, with_tree)).collect();
        drop(state);
        self.wake_worker();
        Step::now(answers)
    }

    fn below(&self, cid: Cid) -> Step<'_, Result<Vec<Cid>, StoreFault>> {
        Step::now(Ok(self.state_to_look().below(cid)))
    }

    fn is_running(&self, attempt: AttemptId) -> bool {
        self.state().is_running(attempt)
    }

    fn outcome(&self, cid: Cid) -> Step<'_, Result<Option<Outcome>, StoreFault>> {
        match self.state_to_look().outcome(cid) {
            Err(fault) => Step::now(Err(fault)),
            Ok(None) => Step::now(Ok(None)),
            Ok(Some(Ok(outcome))) => Step::now(Ok(Some(outcome))),
            Ok(Some(Err(told))) => Step::later(async move { Ok(told.await.ok()) }),
        }
    }

    fn discard(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<DiscardAnswer>, StoreFault>> {
        let mut state = self.state_to_look();
        Step::now(batch.into_iter().map(|cid| state.discard(cid)).collect())
    }

    fn drain(&self) -> Step<'_, ()> {
        self.state_to_close().draining = true;
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

    fn load(&self) -> (usize, usize) {
        self.state().load()
    }

    fn give_up_after(&self, time: Duration) {
        self.state().give_up_after(time);
        self.wake_worker();
    }

    fn give_up(&self) -> Vec<Delivery> {
        let running = self.state_to_close().give_up();
        self.wake_worker();
        running
    }

    fn abandon(&self) -> Vec<Delivery> {
        self.state_to_close().change(State::abandon)
    }

    fn close(&self) -> usize {
        let ended = self.state_to_close().change(State::close);
        self.line.wake_all();
        self.idle.notify_waiters();
        ended
    }
}
