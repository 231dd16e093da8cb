//! The types that a setting takes as a duration or as a backoff.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Backoff;
use crate::duration::{self, Bounds, Unclear};
use crate::settings::Rate;

/// A text that is not a duration or a backoff, or one that a setting cannot use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; `{would_do}` would do")]
pub struct DurationError {
    why: String,
    would_do: String,
}

impl From<Unclear> for DurationError {
    fn from(Unclear { why, would_do }: Unclear) -> Self {
        Self { why, would_do }
    }
}

/// A duration as settings take it: a [`Duration`], or a text.
///
/// A text is one or more numbers with a unit, the longest unit first: `"500ms"`, `"5s"`, `"1m30s"`, `"1.5h"`, `"2 days"`.
/// The units are `w`, `d`, `h`, `m`, `s`, `ms`, `us` and `ns`, which may be spelled out (`min`, `minutes`); white space is
/// allowed between all of them. Zero is `"0s"` or `"0"`. Attributes, calls, the settings of a runtime and the command line
/// all read the same texts.
///
/// ```
/// use std::time::Duration;
/// use zato_core::IntoDuration;
///
/// assert_eq!("1m 30s".into_duration(), Ok(Duration::from_secs(90)));
/// assert_eq!(
///     "90".into_duration().unwrap_err().to_string(),
///     "`90` has a number without a unit: a duration is numbers with units such as `ms`, `s`, `m`, `h` and `d`, the \
///      longest unit first; `1m30s` would do",
/// );
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a duration",
    label = "neither a `Duration` nor a text",
    note = "write `\"30s\"`, or `std::time::Duration::from_secs(30)`"
)]
pub trait IntoDuration {
    /// The duration.
    ///
    /// # Errors
    ///
    /// [`DurationError`] if a text is not one.
    fn into_duration(self) -> Result<Duration, DurationError>;
}

/// A backoff as settings take it: a [`Backoff`], a [`Duration`], or a text as in [`IntoDuration`].
///
/// `"5s"` always waits 5 seconds. `"1s..2m"` waits at random between 1 second and a bound that starts at 2 seconds, doubles
/// with every retry and is at most 2 minutes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a backoff",
    label = "neither a `Backoff` nor a `Duration` nor a text",
    note = "write `\"5s\"` for a fixed wait, or `\"1s..2m\"` for one that grows"
)]
pub trait IntoBackoff {
    /// The backoff.
    ///
    /// # Errors
    ///
    /// [`DurationError`] if a text is not one, or if it does not grow from its first bound to its second.
    fn into_backoff(self) -> Result<Backoff, DurationError>;
}

#[diagnostic::do_not_recommend]
impl IntoDuration for Duration {
    fn into_duration(self) -> Result<Duration, DurationError> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoBackoff for Duration {
    fn into_backoff(self) -> Result<Backoff, DurationError> {
        Ok(Backoff::Fixed(self))
    }
}

#[diagnostic::do_not_recommend]
impl IntoBackoff for Backoff {
    fn into_backoff(self) -> Result<Backoff, DurationError> {
        match self {
            Self::Fixed(_) => Ok(self),
            Self::Exponential { from, to } => Ok(duration::bounds(from, to)?.into()),
        }
    }
}

macro_rules! from_text {
    ($($text:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl IntoDuration for $text {
            fn into_duration(self) -> Result<Duration, DurationError> {
                Ok(duration::duration(&self)?)
            }
        }

        #[diagnostic::do_not_recommend]
        impl IntoBackoff for $text {
            fn into_backoff(self) -> Result<Backoff, DurationError> {
                self.parse()
            }
        }
    )*};
}

from_text!(&str, &String, String);

impl From<Bounds> for Backoff {
    fn from(bounds: Bounds) -> Self {
        match bounds {
            Bounds::Fixed(wait) => Self::Fixed(wait),
            Bounds::Between(from, to) => Self::Exponential { from, to },
        }
    }
}

impl FromStr for Backoff {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        Ok(duration::backoff(text)?.into())
    }
}

/// The text that can be read again: `5s`, `1s..2m`.
impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match *self {
            Self::Fixed(wait) => duration::show(wait),
            Self::Exponential { from, to } => duration::range(from, to),
        })
    }
}

/// The text that the attribute reads: `100/s`, `5/10m`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = show_duration(self.per);
        // One of a unit from a second on is the unit.
        let unit = per.strip_prefix('1').filter(|unit| ["d", "h", "m", "s"].contains(unit));
        f.pad(&format!("{}/{}", self.starts, unit.unwrap_or(&per)))
    }
}

/// Shows a duration in the shortest text that the grammar of durations reads: `30s`, `1m30s`, `30d`.
pub fn show_duration(duration: Duration) -> String {
    duration::show(duration)
}

/// Checks the limit of an attempt.
pub(crate) fn timeout(limit: Duration) -> Result<Duration, DurationError> {
    Ok(duration::timeout(limit)?)
}
