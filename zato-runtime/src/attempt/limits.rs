//! The limits of one invocation: those of its call, otherwise those of its service, otherwise the defaults.

use tokio::time::Instant;
use zato_core::{Channel, Invocation, Settings};

use super::retry::Policy;
use super::watchdog::Limit;
use crate::config::Config;
use crate::record::is_recorded_at_end;
use crate::registry::Registry;

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

/// The policy for the attempts of an invocation, on an engine that keeps what has not ended for the next start or does not.
pub(crate) fn policy(
    registry: &Registry,
    config: &Config,
    is_durable: bool,
    invocation: &Invocation,
) -> Policy {
    let options = invocation.options.as_deref();
    let settings = settings(registry, invocation);
    Policy {
        max_attempts: max_attempts(registry, invocation),
        backoff: options
            .and_then(|options| options.backoff)
            .or_else(|| settings.and_then(|settings| settings.backoff))
            .unwrap_or(config.backoff),
        max_payload: config.max_payload,
        deadline: invocation.deadline.map(Into::into),
        is_kept: is_durable && !is_recorded_at_end(invocation),
        is_awaited: invocation.channel == Channel::Invoke,
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
