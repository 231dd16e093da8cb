//! The settings of `#[service(..)]`.

use std::time::Duration;

/// The settings of a service's attribute. Those that are `None` come from the runtime's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Settings {
    /// Earlier names of this service; it runs what waits under them.
    pub formerly: &'static [&'static str],
    /// The number of attempts that may fail before the outcome is `Failed`.
    pub max_attempts: Option<u32>,
    /// The number of times that the process may die during an invocation before it is `Lost`.
    pub max_losses: Option<u32>,
    /// The wait between attempts.
    pub backoff: Option<Backoff>,
    /// The time limit of one attempt.
    pub timeout: Option<Duration>,
    /// The number of invocations of this service that may run at once.
    pub concurrency: Option<u32>,
    /// The priority among the waiting invocations of this service: higher ones start first.
    pub priority: Option<i8>,
    /// The number of invocations that may start in a period.
    pub rate: Option<Rate>,
    /// The service that receives the response to asynchronous calls of this one that name no callback.
    pub callback: Option<&'static str>,
    /// The service that receives the failures of asynchronous calls of this one that name no failure callback.
    pub on_failure: Option<&'static str>,
}

/// The wait before another attempt. It can be read from a text: `"1s..2m".parse::<Backoff>()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backoff {
    /// The same wait before every retry.
    Fixed(Duration),
    /// A random time between `from` and a bound that starts at twice `from`, doubles with every retry and never passes `to`.
    Exponential {
        /// The shortest wait.
        from: Duration,
        /// The longest wait.
        to: Duration,
    },
}

/// A number of starts in a period: `100/s` is 100 in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number of starts.
    pub starts: u32,
    /// The period.
    pub per: Duration,
}

/// The constructors that the attribute writes, one call for each of its keys.
#[doc(hidden)]
#[allow(clippy::return_self_not_must_use, reason = "the attribute alone calls them, in a chain")]
impl Settings {
    /// No setting.
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
