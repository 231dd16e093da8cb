//! What holds for one invocation: what its call asked for, else what its service says, else the defaults.

use std::time::SystemTime;

use tokio::time::Instant;
use zato_core::{Channel, Context, Invocation, Settings};

use crate::record::{Algorithm, Delivery, Task, is_recorded_at_end};
use crate::registry::Registry;
use crate::retry::Policy;
use crate::shared::Shared;
use crate::watch::Limit;

fn settings<'a>(registry: &'a Registry, invocation: &Invocation) -> Option<&'a Settings> {
    registry.of(&invocation.service).map(|entry| entry.registration.settings())
}

/// How many attempts of an invocation may end by themselves; none where only a process that hosts its service knows.
pub(crate) fn max_attempts(registry: &Registry, invocation: &Invocation) -> Option<u32> {
    let is_awaited = invocation.channel == Channel::Invoke;
    let asked = invocation.options.as_deref().and_then(|options| options.max_attempts);
    asked.or_else(|| {
        let settings = settings(registry, invocation)?;
        // Whoever waits for the response may ask again, and says so if the bus is to.
        Some(settings.max_attempts.filter(|_| !is_awaited).unwrap_or(1))
    })
}

impl Shared {
    /// What holds for the attempts of an invocation.
    pub(crate) fn policy(&self, invocation: &Invocation) -> Policy {
        let options = invocation.options.as_deref();
        let settings = settings(&self.registry, invocation);
        Policy {
            max_attempts: max_attempts(&self.registry, invocation),
            backoff: options
                .and_then(|options| options.backoff)
                .or_else(|| settings.and_then(|settings| settings.backoff))
                .unwrap_or(self.config.backoff),
            max_payload: self.config.max_payload,
            deadline: invocation.deadline.map(Into::into),
            is_kept: self.is_durable() && !is_recorded_at_end(invocation),
            is_awaited: invocation.channel == Channel::Invoke,
        }
    }

    /// How the digests are made that the engine keeps or compares.
    pub(crate) fn digests(&self) -> Algorithm {
        if self.is_durable() { Algorithm::Named } else { Algorithm::InProcess }
    }

    /// Whether the calls of this context are compared with those of other attempts of the same handler. An engine that
    /// keeps what was called is asked when a handler is run again. One that does not is told of every call of a handler
    /// that may be run again, by a retry; of a synchronous call that is not known: it is run again with the one around
    /// it.
    pub(crate) fn compares_calls(&self, context: &Context) -> bool {
        if self.is_durable() {
            return context.anchor().1 > 1;
        }
        context.level() > 0 || self.policy(context.invocation()).max_attempts > Some(1)
    }

    /// Has a delivery that is about to be begun be ended instead where something has come in between since it was handed
    /// out.
    pub(crate) fn see_in_time(&self, delivery: &mut Delivery) {
        if delivery.task != Task::Run {
            return;
        }
        let options = delivery.invocation.options.as_deref();
        let expires = options.and_then(|options| options.expires).filter(|_| delivery.attempt == 1);
        let deadline = delivery.invocation.deadline.map(SystemTime::from);
        let comes_late = || {
            let now = self.config.clock.now();
            match (deadline, expires) {
                (Some(deadline), _) if deadline <= now => Some(Task::TimeOut),
                (_, Some(expires)) if expires.from(now) <= now => Some(Task::Expire),
                _ => None,
            }
        };
        let has_limit = deadline.is_some() || expires.is_some();
        let instead = if self.attempts.is_asked(delivery.id()) {
            self.attempts.forget(delivery.id());
            Some(Task::Cancel)
        } else if has_limit {
            comes_late()
        } else {
            None
        };
        if let Some(task) = instead {
            delivery.task = task;
            delivery.attempt -= 1;
        }
    }
}

/// When an attempt that has just started is over, if it has a limit.
pub(crate) fn limit(invocation: &Invocation, settings: &Settings) -> Option<Limit> {
    let options = invocation.options.as_deref();
    let timeout = options.and_then(|options| options.timeout).or(settings.timeout);
    if timeout.is_none() && invocation.deadline.is_none() {
        return None;
    }
    // What is further away than the clock can tell is no limit.
    let timeout = timeout.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
    Limit::of(timeout, invocation.deadline)
}
