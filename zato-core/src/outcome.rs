//! Outcomes, and the report that failure callbacks receive.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Cid, Payload};

/// The end of an invocation: exactly one for every CID.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler returned `Ok`; this is its response.
    Completed(Payload),
    /// A permanent failure, attempts used up, or a panic on the last attempt.
    Failed(Ending),
    /// Its deadline passed, or its last attempt ran out of time.
    TimedOut(Ending),
    /// The invocation was not started before `expires_in`.
    Expired(Ending),
    /// The invocation was cancelled before it ended.
    Cancelled(Ending),
    /// The payload is not the target's `Request`.
    Undecodable(Ending),
    /// Its process died during it `max_losses` times.
    Lost(Ending),
}

/// The reason why an invocation ended in any outcome but `Completed`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// The error's text, with its causes.
    pub error: Box<str>,
    /// `true` if the same invocation made again would end the same way.
    pub permanent: bool,
    /// The failure's code. Boxed twice, as few have one: an outcome is as large as a payload.
    code: Option<Box<Box<str>>>,
}

impl Ending {
    /// An ending with this error.
    pub fn new(error: impl Into<Box<str>>, permanent: bool) -> Self {
        Self { error: error.into(), permanent, code: None }
    }

    /// The same ending with this code.
    #[must_use]
    pub fn with_code(self, code: Option<Box<str>>) -> Self {
        Self { code: code.map(Box::new), ..self }
    }

    /// The code that the handler gave its failure with [`Failure::code`](crate::Failure::code).
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref().map(|code| &**code)
    }
}

impl Outcome {
    /// The outcome's name: `Completed`, `Failed`, `TimedOut`, `Expired`, `Cancelled`, `Undecodable` or `Lost`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Completed(_) => "Completed",
            Self::Failed(_) => "Failed",
            Self::TimedOut(_) => "TimedOut",
            Self::Expired(_) => "Expired",
            Self::Cancelled(_) => "Cancelled",
            Self::Undecodable(_) => "Undecodable",
            Self::Lost(_) => "Lost",
        }
    }

    /// Returns `true` for `Completed`: the handler returned `Ok`.
    pub fn is_completed(&self) -> bool {
        matches!(self, Self::Completed(_))
    }

    /// The response, if it completed.
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Completed(payload) => Some(payload),
            _ => None,
        }
    }

    /// The reason of the end; `None` for `Completed`.
    pub fn ending(&self) -> Option<&Ending> {
        match self {
            Self::Completed(_) => None,
            Self::Failed(ending)
            | Self::TimedOut(ending)
            | Self::Expired(ending)
            | Self::Cancelled(ending)
            | Self::Undecodable(ending)
            | Self::Lost(ending) => Some(ending),
        }
    }

    /// The same outcome for another reason; what completed stays as it is.
    #[must_use]
    pub fn because(self, reason: impl FnOnce(Ending) -> Ending) -> Self {
        match self {
            Self::Completed(payload) => Self::Completed(payload),
            Self::Failed(ending) => Self::Failed(reason(ending)),
            Self::TimedOut(ending) => Self::TimedOut(reason(ending)),
            Self::Expired(ending) => Self::Expired(reason(ending)),
            Self::Cancelled(ending) => Self::Cancelled(reason(ending)),
            Self::Undecodable(ending) => Self::Undecodable(reason(ending)),
            Self::Lost(ending) => Self::Lost(reason(ending)),
        }
    }

    /// The failure's code, if it ended in anything but success and the handler gave one.
    pub fn code(&self) -> Option<&str> {
        self.ending()?.code()
    }

    /// The error's text, if it ended in anything but success.
    pub fn error(&self) -> Option<&str> {
        self.ending().map(|ending| &*ending.error)
    }
}

/// `Completed: <response>` or `Failed: <error>`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed(payload) if payload.is_empty() => f.write_str(self.name()),
            Self::Completed(payload) => write!(f, "{}: {payload}", self.name()),
            _ => write!(f, "{}: {}", self.name(), self.error().unwrap_or_default()),
        }
    }
}

/// The report that a failure callback receives, as JSON. A failure callback may take it as its `Request`.
///
/// ```
/// use zato_core::{Context, FailureReport, Result, Service, service};
///
/// #[service(name = "docs.refused")]
/// struct Refused;
///
/// impl Service for Refused {
///     type Request = FailureReport;
///     type Response = ();
///
///     async fn handle(&self, _: &Context, report: FailureReport) -> Result<()> {
///         println!("{} of {} ended as {}: {}", report.cid, report.service, report.outcome, report.error);
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailureReport {
    /// The CID of the invocation that failed.
    pub cid: Cid,
    /// The name of its target; `zato.chain` for a chain.
    pub service: String,
    /// Of a chain: the service whose step ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The outcome's name, as [`Outcome::name`] gives it.
    pub outcome: String,
    /// The error's text, with its causes.
    pub error: String,
    /// The code that the handler gave its failure with [`Failure::code`](crate::Failure::code); `null` if it gave none.
    #[serde(default)]
    pub code: Option<String>,
    /// The number of attempts.
    pub attempts: u32,
    /// The request as text; `null` where it is not UTF-8, or left out.
    pub payload: Option<String>,
    /// The request in base64, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
    /// The request's size in bytes where it was left out because it is above 64 KiB; it can be read by CID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted_bytes: Option<u64>,
    /// The start of its last attempt, RFC 3339 in UTC; `null` if there was none.
    pub started_at: Option<String>,
    /// The time of its end, RFC 3339 in UTC.
    pub ended_at: String,
}

impl FailureReport {
    /// The largest request, in bytes, that the report repeats.
    pub const MAX_PAYLOAD: usize = 64 * 1024;

    /// Tells of `outcome`; times are RFC 3339 in UTC.
    pub fn new(
        cid: Cid,
        service: &str,
        outcome: &Outcome,
        attempts: u32,
        request: &Payload,
        (started_at, ended_at): (Option<String>, String),
    ) -> Self {
        let omitted = request.len() > Self::MAX_PAYLOAD;
        let text = request.as_str().filter(|_| !omitted);
        Self {
            cid,
            service: service.to_owned(),
            step: None,
            outcome: outcome.name().to_owned(),
            error: outcome.error().unwrap_or_default().to_owned(),
            code: outcome.code().map(str::to_owned),
            attempts,
            payload: text.map(str::to_owned),
            payload_base64: (!omitted && text.is_none()).then(|| request.to_string()),
            omitted_bytes: omitted.then_some(request.len() as u64),
            started_at,
            ended_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes are moved with everything that ends.
    #[test]
    fn an_outcome_is_as_large_as_a_payload() {
        assert_eq!(size_of::<Outcome>(), size_of::<Payload>());
    }
}
