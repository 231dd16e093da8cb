//! What a handler returns when it cannot do its work, and whether trying again may help.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::CallError;

/// What a handler returns.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A handler's failure: the error, and whether another attempt may succeed.
///
/// Any [`std::error::Error`] becomes one by `?` and means *try again*, if the service has attempts left
/// (`max_attempts`, 1 unless told). [`Failure::permanent`] means *do not*, and [`Failure::retry_after`] says
/// when. A [`CallError`] keeps what it is: a refusal stays permanent, a full engine does not. A text, a `String`
/// or a `Box<dyn Error + Send + Sync>` is no `std::error::Error`: `.map_err(Failure::new)?` makes it one.
///
/// ```
/// use zato_core::{Failure, Result};
///
/// fn port(text: &str) -> Result<u16> {
///     let port: u16 = text.parse()?; // any error: another attempt may succeed
///     if port == 0 {
///         return Err(Failure::permanent("port 0 is no port"));
///     }
///     Ok(port)
/// }
/// assert!(!port("x").unwrap_err().is_permanent());
/// assert!(port("0").unwrap_err().is_permanent());
/// ```
pub struct Failure {
    error: Box<dyn Error + Send + Sync>,
    then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Again,
    After(Duration),
    Never,
}

#[derive(Debug, thiserror::Error)]
#[error("asked to be run again after {0:?}")]
struct AskedToWait(Duration);

impl Failure {
    /// A failure with this text (or error) after which another attempt may succeed.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { error: error.into(), then: Then::Again }
    }

    /// A failure that no further attempt can mend: the invocation ends as `Failed` at once.
    pub fn permanent(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { error: error.into(), then: Then::Never }
    }

    /// A failure after which another attempt is to be made once `delay` has passed, instead of when the
    /// service's backoff says. [`because`](Self::because) gives it a reason.
    pub fn retry_after(delay: Duration) -> Self {
        Self { error: Box::new(AskedToWait(delay)), then: Then::After(delay) }
    }

    /// The same decision with this error as its reason.
    #[must_use]
    pub fn because(self, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { error: error.into(), ..self }
    }

    /// Whether no further attempt is to be made.
    pub fn is_permanent(&self) -> bool {
        self.then == Then::Never
    }

    /// How long to wait before the next attempt, where the handler said so.
    pub fn delay(&self) -> Option<Duration> {
        match self.then {
            Then::After(delay) => Some(delay),
            Then::Again | Then::Never => None,
        }
    }

    /// The error itself.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }
}

/// Any error means *try again*, except a [`CallError`], which knows.
#[diagnostic::do_not_recommend]
impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let permanent = (&error as &dyn Any).downcast_ref::<CallError>().is_some_and(CallError::is_permanent);
        Self { error: Box::new(error), then: if permanent { Then::Never } else { Then::Again } }
    }
}

/// The error and what caused it, joined by `: `.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.error.to_string();
        let mut source = self.error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("error", &self.error).field("then", &self.then).finish()
    }
}
