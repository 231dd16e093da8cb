//! Synchronous calls inside an attempt: they run in it, with no slot and no lease of their own, and are recorded
//! when it is settled.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zato_core::__private::Nested;
use zato_core::bus::Call;
use zato_core::{CallError, Channel, Cid, Context, Ending, Invocation, Moment, Outcome, Payload};

use super::accept;
use crate::attempt::dispatch::RunningAttempt;
use crate::attempt::retry::{AttemptResult, Decision, Policy, RetryInput, decide};
use crate::bus::core::BusCore;
use crate::config::MAX_NESTED;
use crate::record::{AttemptId, Ended};

/// One synchronous call.
pub(crate) struct NestedCall<'a> {
    shared: &'a BusCore,
    invocation: Arc<Invocation>,
    /// The number of its service.
    number: u32,
    outer: &'a Context,
    /// The attempt that all of it runs in.
    anchor: AttemptId,
    level: u32,
}

impl<'a> NestedCall<'a> {
    /// Checks the call; nothing runs yet.
    pub(crate) fn enter(
        shared: &'a BusCore,
        context: &'a Context,
        call: Call<'_>,
    ) -> Result<Self, CallError> {
        let checked = accept::check(shared, Some(context), call, Channel::Invoke)?;
        let Some(number) = checked.target.map(|target| target.number) else {
            return Err(shared.registry.unknown("target", &checked.service).into());
        };
        let invocation = checked.invocation(shared, Some(context), Channel::Invoke)?;
        let level = context.level() + 1;
        if level > MAX_NESTED {
            let service = invocation.service.to_string();
            return Err(CallError::TooNested { service, level, limit: MAX_NESTED });
        }
        Ok(Self { shared, invocation, number, outer: context, anchor: AttemptId::around(context), level })
    }

    /// Runs it, again if the call says so, until it has ended.
    pub(crate) async fn run(self) -> Result<Payload, CallError> {
        let policy = self.policy();
        let mut attempt = 1;
        let (outcome, started_at) = loop {
            let started_at = self.shared.config.clock.now();
            let brought = self.attempt(attempt).await;
            let standing = RetryInput {
                service: &self.invocation.service,
                failed: attempt,
                is_cancelled: false,
                is_interrupted: false,
                uncounted: 0,
                has_time: true,
                now: self.shared.config.clock.system_time(),
                chance: RandomState::new().hash_one(attempt),
            };
            match decide(&policy, standing, brought) {
                Decision::End(outcome) => break (outcome, started_at),
                // A shutdown interrupts the attempt around it, which returns now.
                Decision::Retry { error, .. } if self.shared.attempts.has_seen_shutdown(self.anchor) => {
                    break (Outcome::Failed(Ending::new(error, false)), started_at);
                }
                Decision::Retry { at, .. } => {
                    let at = at.unwrap_or_else(|| self.shared.config.clock.system_time());
                    self.shared.config.clock.reach(at).await;
                    attempt += 1;
                }
            }
        };
        self.record(&outcome, attempt, started_at);
        response(&self.invocation.service, self.invocation.cid, outcome)
    }

    /// There is one attempt unless the call asks for more: what called may make the call again, whatever the
    /// service says of its asynchronous invocations.
    fn policy(&self) -> Policy {
        let options = self.invocation.options.as_deref();
        let max_attempts = options.and_then(|options| options.max_attempts);
        Policy { max_attempts, ..self.shared.policy(&self.invocation) }
    }

    async fn attempt(&self, number: u32) -> AttemptResult {
        let AttemptId { cid, number: attempt } = self.anchor;
        let nested =
            Arc::new(Nested { anchor: cid, attempt, level: self.level, over: AtomicBool::new(false) });
        let _over = Over(nested.clone());
        RunningAttempt::new(self.outer.nested(self.invocation.clone(), number, self.number, nested)).await
    }

    fn record(&self, outcome: &Outcome, attempts: u32, started_at: Moment) {
        let ended = Ended {
            invocation: self.invocation.clone(),
            outcome: outcome.clone(),
            attempts,
            started_at: Some(started_at),
            ended_at: self.shared.config.clock.now(),
            before: None,
        };
        self.shared.keep_inner(self.anchor, ended);
    }
}

/// Also when the caller drops the call before it returns, contexts of it are over.
struct Over(Arc<Nested>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
    }
}

/// What a synchronous call brings.
pub(crate) fn response(service: &str, cid: Cid, outcome: Outcome) -> Result<Payload, CallError> {
    match outcome {
        Outcome::Completed(payload) => Ok(payload),
        outcome => Err(CallError::Ended { service: service.to_owned(), cid, outcome }),
    }
}
