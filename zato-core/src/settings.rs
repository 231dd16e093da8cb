//! What `#[service(..)]` says of a service beside its name.

use std::time::Duration;

/// The settings that a service's attribute carries; what it does not say is `None` and comes from the
/// runtime's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Settings {
    /// Names under which this service was known before; what waits under them is its own.
    pub formerly: &'static [&'static str],
    /// How many attempts may end by themselves before the outcome is `Failed`.
    pub max_attempts: Option<u32>,
    /// How many deaths of the process an invocation survives before it is `Lost`.
    pub max_losses: Option<u32>,
    /// How long to wait between attempts.
    pub backoff: Option<Backoff>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How many invocations of this service may run at once.
    pub concurrency: Option<u32>,
    /// Which waiting invocation of this service goes first: the higher.
    pub priority: Option<i8>,
    /// How many may start in a stretch of time.
    pub rate: Option<Rate>,
    /// The service that receives the response to asynchronous calls of this one that name no callback.
    pub callback: Option<&'static str>,
    /// The service that is told of failures of asynchronous calls of this one that name no failure callback.
    pub on_failure: Option<&'static str>,
}

/// The wait before another attempt. It can be read from a text: `"1s..2m".parse::<Backoff>()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backoff {
    /// Always the same time.
    Fixed(Duration),
    /// A random time between `from` and a bound that starts at twice `from`, doubles with every retry and never passes `to`.
    Exponential {
        /// The shortest wait.
        from: Duration,
        /// The longest wait.
        to: Duration,
    },
}

/// A number of starts in a stretch of time: `100/s` is 100 in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many may start.
    pub starts: u32,
    /// In how long.
    pub per: Duration,
}

/// What the attribute writes, one call for each of its keys.
#[doc(hidden)]
#[allow(clippy::return_self_not_must_use, reason = "the attribute alone calls them, in a chain")]
impl Settings {
    /// Nothing said.
    pub const fn new() -> Self {
        Self {
            formerly: &[],
            max_attempts: None,
            max_losses: None,
            backoff: None,
            timeout: None,
            concurrency: None,
            priority: None,
            rate: None,
            callback: None,
            on_failure: None,
        }
    }

    pub const fn formerly(self, names: &'static [&'static str]) -> Self {
        Self { formerly: names, ..self }
    }

    pub const fn max_attempts(self, attempts: u32) -> Self {
        Self { max_attempts: Some(attempts), ..self }
    }

    pub const fn max_losses(self, losses: u32) -> Self {
        Self { max_losses: Some(losses), ..self }
    }

    pub const fn backoff_fixed(self, wait: Duration) -> Self {
        Self { backoff: Some(Backoff::Fixed(wait)), ..self }
    }

    pub const fn backoff_between(self, from: Duration, to: Duration) -> Self {
        Self { backoff: Some(Backoff::Exponential { from, to }), ..self }
    }

    pub const fn timeout(self, limit: Duration) -> Self {
        Self { timeout: Some(limit), ..self }
    }

    pub const fn concurrency(self, running: u32) -> Self {
        Self { concurrency: Some(running), ..self }
    }

    pub const fn priority(self, priority: i8) -> Self {
        Self { priority: Some(priority), ..self }
    }

    pub const fn rate(self, starts: u32, per: Duration) -> Self {
        Self { rate: Some(Rate { starts, per }), ..self }
    }

    pub const fn callback(self, name: &'static str) -> Self {
        Self { callback: Some(name), ..self }
    }

    pub const fn on_failure(self, name: &'static str) -> Self {
        Self { on_failure: Some(name), ..self }
    }
}
