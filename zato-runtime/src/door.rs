//! The door that contexts and runtimes use: asynchronous calls go to intake, synchronous ones run here.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use zato_core::bus::{Bus, Call, GroupCall, Step};
use zato_core::{CallError, Cancellation, Channel, Cid, Context, Invocation, Outcome, Payload};

use crate::attempts::Stop;
use crate::engine::StoreFault;
use crate::found::{Found, Status};
use crate::intake;
use crate::nested::{Inner, response};
use crate::patterns;
use crate::record::{AttemptId, Batch, CancelAnswer};
use crate::retry::Brought;
use crate::shared::{Phase, Shared};

/// How often the tree below what is cancelled is looked at again.
const MOST_LOOKS: usize = 64;

impl Bus for Shared {
    fn accept<'a>(&'a self, from: Option<&'a Context>, call: Call<'a>) -> Step<'a, Result<Cid, CallError>> {
        intake::accept(self, from, call)
    }

    fn group<'a>(
        &'a self,
        from: Option<&'a Context>,
        call: GroupCall<'a>,
    ) -> Step<'a, Result<Cid, CallError>> {
        Step::later(patterns::accept_group(self, from, call))
    }

    fn invoke<'a>(
        &'a self,
        from: Option<&'a Context>,
        call: Call<'a>,
    ) -> Step<'a, Result<Payload, CallError>> {
        match from {
            Some(context) if !self.is_live(context) => Step::now(Err(intake::over(context))),
            Some(context) => match Inner::enter(self, context, call) {
                Ok(inner) => Step::later(inner.run()),
                Err(refused) => Step::now(Err(refused)),
            },
            None => Step::later(from_outside(self, call)),
        }
    }

    fn invoke_all<'a>(
        &'a self,
        from: Option<&'a Context>,
        calls: Vec<Call<'a>>,
    ) -> Step<'a, Vec<Result<Payload, CallError>>> {
        Step::later(async move {
            let mut answers: Vec<_> = calls.iter().map(|_| None).collect();
            let call = |(index, call)| async move { (index, self.invoke(from, call).await) };
            let mut running: FuturesUnordered<_> = calls.into_iter().enumerate().map(call).collect();
            while let Some((index, answer)) = running.next().await {
                answers[index] = Some(answer);
            }
            answers.into_iter().flatten().collect()
        })
    }

    fn cancel<'a>(
        &'a self,
        from: Option<&'a Context>,
        cid: Cid,
        with_tree: bool,
    ) -> Step<'a, Result<Cancellation, CallError>> {
        Step::later(async move {
            if let Some(context) = from.filter(|context| !self.is_live(context)) {
                return Err(intake::over(context));
            }
            let mut is_begun = false;
            let cancelled = self.cancel_now(cid, with_tree, &mut is_begun).await;
            cancelled
                .map_err(|fault| if is_begun { fault.after_a_change() } else { fault }.of_call(Some(cid)))?
                .ok_or(CallError::NotHeld(cid))
        })
    }

    fn now(&self) -> SystemTime {
        self.config.clock.look();
        self.config.clock.now()
    }

    fn cancelled<'a>(&'a self, context: &'a Context) -> Step<'a, ()> {
        Step::later(async move {
            if let Some(stop) = self.stop_of(context) {
                self.phase_or(Phase::Stopping, &stop, stop.asked()).await;
            }
        })
    }

    fn shutting_down<'a>(&'a self, context: &'a Context) -> Step<'a, ()> {
        Step::later(async move {
            if let Some(stop) = self.stop_of(context) {
                self.phase_or(Phase::Draining, &stop, stop.over()).await;
            }
        })
    }
}

impl Shared {
    /// Returns the stop signals of the attempt that a context belongs to; `None` if it is over.
    fn stop_of(&self, context: &Context) -> Option<Arc<Stop>> {
        if !self.is_live(context) {
            return None;
        }
        let anchor = AttemptId::around(context);
        let stop = self.attempts.stop(anchor);
        if !self.engine.is_running(anchor) {
            // It ended in between, and nobody would forget it.
            self.attempts.forget(anchor);
            return None;
        }
        Some(stop)
    }

    /// Resolves when a shutdown has come so far, which the attempt has seen then, or when `other` resolves.
    async fn phase_or(&self, phase: Phase, stop: &Stop, other: impl Future<Output = ()>) {
        let mut phases = self.phase.subscribe();
        let (mut comes, mut other) = (pin!(phases.wait_for(|now| *now >= phase)), pin!(other));
        poll_fn(|cx| match comes.as_mut().poll(cx) {
            // The sender lives in `self`, so this ends by the value alone.
            Poll::Ready(_) => {
                stop.sees_shutdown();
                Poll::Ready(())
            }
            Poll::Pending => other.as_mut().poll(cx),
        })
        .await;
    }

    /// Whether the attempt that a context belongs to still runs.
    fn is_live(&self, context: &Context) -> bool {
        !context.has_returned() && self.engine.is_running(AttemptId::around(context))
    }

    /// Cancels an invocation, with the tree below it if asked; `None` if it is not held. Sets `is_begun` once anything has been
    /// changed.
    async fn cancel_now(
        &self,
        cid: Cid,
        with_tree: bool,
        is_begun: &mut bool,
    ) -> Result<Option<Cancellation>, StoreFault> {
        let waited = if with_tree {
            self.below_what_waits(cid).await.map_err(StoreFault::before_any_change)?
        } else {
            None
        };
        // Listens before the cancel: where nothing is kept that has ended, nobody can be asked after it.
        let outcome = self.engine.outcome(cid);
        let mut all = Batch::new();
        all.push(cid);
        let Some(first) = self.cancel_all(all, with_tree).await?.into_iter().next().flatten() else {
            return Ok(None);
        };
        *is_begun = true;
        // A group is its members.
        if with_tree || matches!(first, CancelAnswer::Open) {
            let below = match waited {
                // It has not run since, so that only those are new who are told of its end.
                Some((attempts, below))
                    if matches!(first, CancelAnswer::Ending)
                        && self.attempts_of(cid).await? == Some(attempts) =>
                {
                    below.into_iter().collect()
                }
                _ => self.below_what_ran(cid, with_tree, matches!(first, CancelAnswer::Ended(_))).await?,
            };
            let mut seen: HashSet<Cid> = below.iter().copied().chain([cid]).collect();
            self.cancel_all(below, with_tree).await?;
            // What ran may have invoked more between that look and its note. One generation of those that were not noted
            // in time is found by each look.
            for _ in 0..if with_tree { MOST_LOOKS } else { 0 } {
                let more = self.below_since(cid, &seen).await?;
                if more.is_empty() {
                    break;
                }
                seen.extend(&more);
                self.cancel_all(more, with_tree).await?;
            }
        }
        Ok(Some(match first {
            CancelAnswer::Ended(outcome) => Cancellation::Ended(outcome),
            CancelAnswer::Noted(_) | CancelAnswer::Open => Cancellation::Requested,
            CancelAnswer::Ending => match outcome.await? {
                Some(Outcome::Cancelled(_)) => Cancellation::Cancelled,
                Some(other) => Cancellation::Ended(other),
                None => return Ok(None),
            },
        }))
    }

    /// How many attempts of an invocation that waits have been made, and what is below it; `None` if it does not wait.
    async fn below_what_waits(&self, cid: Cid) -> Result<Option<(u32, Vec<Cid>)>, StoreFault> {
        match self.find(cid).await? {
            Some(Found { status: Status::Waiting(_), attempts, .. }) => {
                Ok(Some((attempts, self.engine.below(cid).await?)))
            }
            _ => Ok(None),
        }
    }

    /// What is to be cancelled with an invocation: of a group without its tree, its members. What runs may invoke more
    /// until it is noted: that is noted by then. Who is told of an end that has come since is no part of it.
    async fn below_what_ran(
        &self,
        cid: Cid,
        with_tree: bool,
        had_ended: bool,
    ) -> Result<Batch<Cid>, StoreFault> {
        let below = self.engine.below(cid).await?.into_iter().collect();
        let is_meant = |found: &Found| {
            let invocation: &Invocation = &found.invocation;
            if with_tree {
                had_ended || invocation.in_reply_to() != Some(cid)
            } else {
                invocation.slot.is_some_and(|slot| slot.group == cid)
            }
        };
        let found = self.engine.find(below).await?.into_iter().flatten();
        Ok(found.filter(is_meant).map(|found| found.cid()).collect())
    }

    /// What others that were seen below an invocation have called since; but for those who are told of an end.
    async fn below_since(&self, cid: Cid, seen: &HashSet<Cid>) -> Result<Batch<Cid>, StoreFault> {
        let below = self.engine.below(cid).await?.into_iter();
        let more: Batch<Cid> = below.filter(|cid| !seen.contains(cid)).collect();
        if more.is_empty() {
            return Ok(more);
        }
        let mut meant = Batch::new();
        for found in self.engine.find(more).await?.into_iter().flatten() {
            let is_told = found.invocation.in_reply_to().is_some_and(|of| seen.contains(&of));
            if !is_told && self.is_called_by(&found.invocation, seen).await? {
                meant.push(found.cid());
            }
        }
        Ok(meant)
    }

    /// Whether one of these has called an invocation, or has inside its synchronous calls.
    async fn is_called_by(&self, invocation: &Invocation, these: &HashSet<Cid>) -> Result<bool, StoreFault> {
        let mut above = invocation.slot.map(|slot| slot.group).or(invocation.parent);
        while let Some(cid) = above.filter(|cid| !these.contains(cid)) {
            match self.find(cid).await? {
                // It is a synchronous call of an attempt that still runs: nothing else is called and not held.
                None => return Ok(true),
                Some(found) if found.invocation.channel == Channel::Invoke => above = found.invocation.parent,
                Some(_) => return Ok(false),
            }
        }
        Ok(above.is_some())
    }

    async fn attempts_of(&self, cid: Cid) -> Result<Option<u32>, StoreFault> {
        Ok(self.find(cid).await?.map(|found| found.attempts))
    }

    async fn cancel_all(
        &self,
        all: Batch<Cid>,
        with_tree: bool,
    ) -> Result<Batch<Option<CancelAnswer>>, StoreFault> {
        let answers = self.engine.cancel(all, with_tree).await?;
        for answer in &answers {
            if let Some(CancelAnswer::Noted(delivery)) = answer {
                let attempt = delivery.id();
                self.attempts.ask(attempt);
                let grace = self.config.cancel_grace;
                self.watch.note(delivery, grace, Brought::Stopped(grace));
                if !self.engine.is_running(attempt) {
                    // It ended in between, and nobody would forget it.
                    self.attempts.forget(attempt);
                }
            }
        }
        Ok(answers)
    }
}

/// A synchronous call from outside takes its turn as every other does, and is waited for. It is recorded when it ends: its
/// caller receives the response once that is done, or learns that it cannot be done now.
async fn from_outside(shared: &Shared, call: Call<'_>) -> Result<Payload, CallError> {
    let service = call.target.to_string();
    let (accepted, told) = intake::accept_told(shared, call)?;
    let cid = accepted.await?;
    let (mut told, mut unrecorded) = (told, shared.engine.unrecorded(cid));
    let told = poll_fn(|cx| match Pin::new(&mut told).poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Ok(outcome)),
        Poll::Pending => Pin::new(&mut unrecorded).poll(cx).map(Err),
    });
    let told = told.await.map_err(|fault| fault.of_call(Some(cid)))?;
    match told {
        Ok(outcome) => response(&service, cid, outcome),
        Err(_) => Err(CallError::Interrupted { service, cid }),
    }
}
