//! What a call may ask for beside its target, its payload and its callbacks.

use std::time::{Duration, SystemTime};

use crate::{Backoff, Cid, DurationError, LabelError, ServiceName};

/// What one invocation asks for; what it does not say comes from its service, or from the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Options {
    /// When it may start; intake takes it out, into [`Invocation::due`](crate::Invocation::due).
    pub due: Option<When>,
    /// When it need no longer start.
    pub expires: Option<When>,
    /// When it must have ended; intake takes it out, into [`Invocation::deadline`](crate::Invocation::deadline).
    pub deadline: Option<SystemTime>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How many attempts may end by themselves before the outcome is `Failed`.
    pub max_attempts: Option<u32>,
    /// How long to wait between attempts.
    pub backoff: Option<Backoff>,
    /// How many deaths of its process it survives before it is `Lost`.
    pub max_losses: Option<u32>,
    /// Which waiting invocation of its service goes first: the higher.
    pub priority: Option<i8>,
    /// What makes it the same call as another to the same service.
    pub idempotency_key: Option<Box<str>>,
    /// What keeps it from running beside others of its service that have the same.
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
    /// It may not even be lost once.
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
