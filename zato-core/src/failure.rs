//! The failure of a handler: the error, and whether another attempt may help.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::{DurationError, IntoDuration, duration};

/// The result of a handler.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// The failure of a handler: the error, and whether another attempt may succeed.
///
/// `?` makes a failure of any [`std::error::Error`]. It asks for another attempt, which is made if the service has one
/// left (`max_attempts`, 1 by default). [`Failure::permanent`] forbids another attempt, [`Failure::retry_after`] sets its
/// time. A [`CallError`](crate::CallError) keeps what it is: a refusal is permanent, a full engine is not.
///
/// `anyhow::Error`, `Box<dyn Error>`, `String` and `&str` are not a `std::error::Error`. For them, [`OrFail`](crate::OrFail)
/// has `.or_retry()?` and `.or_permanent()?`, and [`fail!`](crate::fail) returns a text at once.
///
/// ```
/// use zato_core::{Failure, OrFail, Result, fail};
///
/// fn reserved(port: u16) -> std::result::Result<u16, String> {
///     if port == 1 { Err(format!("port {port} is reserved")) } else { Ok(port) }
/// }
///
/// fn port(text: &str) -> Result<u16> {
///     let port: u16 = text.parse()?; // a `std::error::Error`: another attempt may succeed
///     if port == 0 {
///         return Err(Failure::permanent("port 0 cannot be listened on"));
///     }
///     if port == 2 {
///         fail!("port {port} is taken"); // another attempt may succeed
///     }
///     reserved(port).or_permanent() // a `String`
/// }
/// assert!(!port("x").unwrap_err().is_permanent());
/// assert!(port("0").unwrap_err().is_permanent());
/// assert!(port("1").unwrap_err().is_permanent());
/// assert_eq!(port("2").unwrap_err().to_string(), "port 2 is taken");
/// ```
pub struct Failure {
    error: Box<dyn Error + Send + Sync>,
    then: Then,
    code: Option<Box<str>>,
    /// The reason why a time for the next attempt could not be read.
    fault: Option<Box<DurationError>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Again,
    After(Duration),
    Never,
}

#[derive(Debug, thiserror::Error)]
#[error("the handler asked to be retried after {0}")]
struct AskedToWait(String);

impl Failure {
    /// A failure with this text (or error) after which another attempt may succeed.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { error: error.into(), then: Then::Again, code: None, fault: None }
    }

    /// A failure that no other attempt can mend: the invocation ends as `Failed` at once.
    pub fn permanent(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { error: error.into(), then: Then::Never, code: None, fault: None }
    }

    /// A failure after which another attempt is made once `delay` has passed: `"5s"`, or a `Duration`. It overrides the
    /// service's backoff. [`because`](Self::because) gives the failure a reason.
    ///
    /// The failure of a text that is not a duration says so after its reason, and the service's backoff sets the time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use zato_core::Failure;
    ///
    /// let busy = Failure::retry_after("1m 30s").because("the bank is closed");
    /// assert_eq!(busy.delay(), Some(Duration::from_secs(90)));
    ///
    /// let unclear = Failure::retry_after("soon").because("the bank is closed");
    /// assert!(unclear.delay().is_none() && unclear.to_string().contains("`soon` is not a duration"));
    /// ```
    pub fn retry_after(delay: impl IntoDuration) -> Self {
        match delay.into_duration() {
            Ok(delay) => Self { then: Then::After(delay), ..Self::new(AskedToWait(duration::show(delay))) },
            Err(fault) => {
                Self { fault: Some(Box::new(fault)), ..Self::new("the handler asked to be retried later") }
            }
        }
    }

    /// The same failure with this error as its reason.
    #[must_use]
    pub fn because(self, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { error: error.into(), ..self }
    }

    /// The same failure with a code, by which failures are grouped: one of few, such as `card.declined`, and never a
    /// text that differs from one failure to the next.
    ///
    /// The code goes where the error goes: to failure callbacks, to the rows of a fan-out, to dead letters and their log
    /// line. A handler that fails because a synchronous call failed passes on that call's code, unless it has one of its
    /// own. A code is never an error: what is longer than 64 bytes is cut off, white space and control characters become
    /// `_`, and an empty code is none.
    ///
    /// ```
    /// use zato_core::Failure;
    ///
    /// let failure = Failure::permanent("the card ending in 4242 was declined").code("card.declined");
    /// assert_eq!(failure.error_code(), Some("card.declined"));
    /// ```
    #[must_use]
    pub fn code(self, code: impl AsRef<str>) -> Self {
        Self { code: cleaned(code.as_ref()), ..self }
    }

    /// The code that [`code`](Self::code) has set.
    pub fn error_code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The same failure, after which another attempt may be made; a time that was set for it is kept.
    pub(crate) fn retryable(self) -> Self {
        let then = if self.then == Then::Never { Then::Again } else { self.then };
        Self { then, ..self }
    }

    /// The same failure, after which no other attempt is made.
    pub(crate) fn never_again(self) -> Self {
        Self { then: Then::Never, ..self }
    }

    /// Returns `true` if another attempt is forbidden.
    pub fn is_permanent(&self) -> bool {
        self.then == Then::Never
    }

    /// The wait before the next attempt, if the handler has set one.
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

/// The longest code in bytes.
const MAX_CODE: usize = 64;

/// A code that is safe to show, to log and to group by.
fn cleaned(code: &str) -> Option<Box<str>> {
    let code = code.trim();
    let code = &code[..code.floor_char_boundary(MAX_CODE)];
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    (!code.is_empty()).then(|| code.replace(is_odd, "_").into_boxed_str())
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
        if let Some(fault) = &self.fault {
            text.push_str("; the time for the next attempt cannot be read, so the backoff sets it: ");
            text.push_str(&fault.to_string());
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("error", &self.error)
            .field("then", &self.then)
            .field("code", &self.code)
            .field("fault", &self.fault)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_short_and_safe_to_show() {
        let code = |code: &str| Failure::new("no").code(code).error_code().map(str::to_owned);
        assert_eq!(code("card.declined").as_deref(), Some("card.declined"));
        assert_eq!(code(" card\tdeclined\n").as_deref(), Some("card_declined"));
        assert_eq!(code("a\u{0}b\u{2028}c").as_deref(), Some("a_b_c"));
        assert_eq!((code(""), code(" \n ")), (None, None));
        assert_eq!(code(&"x".repeat(65)), Some("x".repeat(64)));
        // A character is not cut in half.
        assert_eq!(code(&"\u{e9}".repeat(33)), Some("\u{e9}".repeat(32)));
        assert_eq!(code(&format!("x{}", "\u{e9}".repeat(33))).map(|code| code.len()), Some(63));
    }

    #[test]
    fn a_code_stays_whatever_is_said_after_it() {
        let failure = Failure::retry_after(Duration::from_secs(1)).code("busy").because("the line is busy");
        assert_eq!((failure.error_code(), failure.delay()), (Some("busy"), Some(Duration::from_secs(1))));
        assert_eq!(failure.code("down").error_code(), Some("down"));
    }
}
