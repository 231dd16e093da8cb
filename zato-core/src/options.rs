//! The options of a call, beside its target, its payload and its callbacks.

use std::time::{Duration, SystemTime};

use crate::{Backoff, Cid, DurationError, LabelError, ServiceName};

/// The options of one invocation. Those that are `None` come from its service, or from the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Options {
    /// The time before which it does not start. The check of the call moves it to [`Invocation::due`](crate::Invocation::due).
    pub due: Option<When>,
    /// The time after which it is not started.
    pub expires: Option<When>,
    /// The time by which it must have ended. The check of the call moves it to
    /// [`Invocation::deadline`](crate::Invocation::deadline).
    pub deadline: Option<SystemTime>,
    /// The time limit of one attempt.
    pub timeout: Option<Duration>,
    /// The number of attempts that may fail before the outcome is `Failed`.
    pub max_attempts: Option<u32>,
    /// The wait between attempts.
    pub backoff: Option<Backoff>,
    /// The number of times that its process may die during it before it is `Lost`.
    pub max_losses: Option<u32>,
    /// The priority among the waiting invocations of its service: higher ones start first.
    pub priority: Option<i8>,
    /// The idempotency key: calls of one service with an equal key are one call.
    pub idempotency_key: Option<Box<str>>,
    /// The concurrency key: invocations of one service with an equal key run one at a time.
    pub concurrency_key: Option<Box<str>>,
    /// For a chain: the services that it runs through, in order.
    pub steps: Box<[ServiceName]>,
    /// The dead letter that it runs again.
    pub again_of: Option<Cid>,
}

impl Options {
    /// The options without those that are times of day, which differ between two equal calls.
    #[must_use]
    pub fn without_times(&self) -> Self {
        Self { due: None, expires: None, deadline: None, ..self.clone() }
    }
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// So long after the call is accepted.
    In(Duration),
    /// At a time of day.
    At(SystemTime),
}

impl When {
    /// The time of day, where the call is accepted `now`.
    #[must_use]
    pub fn from(self, now: SystemTime) -> SystemTime {
        match self {
            Self::At(at) => at,
            // What no clock can tell is never.
            Self::In(duration) => {
                now.checked_add(duration).unwrap_or(now + Duration::from_hours(24 * 365 * 100))
            }
        }
    }
}

/// The longest idempotency or concurrency key, in bytes.
pub const MAX_KEY: usize = 1_024;

/// A key that may be one.
pub(crate) fn key(what: &'static str, key: String) -> Result<Box<str>, OptionError> {
    match key.len() {
        1..=MAX_KEY => Ok(key.into_boxed_str()),
        bytes => Err(OptionError::Key { what, bytes }),
    }
}

/// An option that a call cannot be made with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// No attempt is allowed.
    #[error("`.max_attempts(0)` allows no attempt: 1 allows the first attempt only, 5 allows four retries")]
    NoAttempt,
    /// `max_losses` is zero.
    #[error(
        "`.max_losses(0)` would end the invocation before it starts: 1 never runs it again after a crash, 3 does so twice"
    )]
    NoLoss,
    /// A key that is empty, or too long.
    #[error("the {what} has {bytes} bytes: a key has between 1 and {} bytes; hash a longer one", MAX_KEY)]
    Key {
        /// `idempotency key` or `concurrency key`.
        what: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A label that an invocation cannot have.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// A duration or a backoff that cannot be read, or that the option cannot use.
    #[error("`.{option}(..)`: {error}")]
    Duration {
        /// The method that was called.
        option: &'static str,
        /// The fault, and a text that would do.
        error: DurationError,
    },
}
