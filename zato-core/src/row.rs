//! A row of a group: how one of its targets ended.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Cid, Payload};

/// The outcome of one target of a group. A final callback takes all of them, in the order of the targets, as `Vec<Row<T>>`,
/// where `T` is the response type of the targets.
///
/// Targets of different types have responses of different types: a [`Payload`] takes each as it came, a `String` each as
/// text, and [`serde_json::Value`] each as a JSON value.
///
/// ```
/// use zato_core::{Context, Result, Row, service};
///
/// #[service(name = "docs.row.total")]
/// async fn total(_: &Context, quotes: Vec<Row<u64>>) -> Result<u64> {
///     for quote in quotes.iter().filter(|quote| !quote.ok) {
///         println!("{} ({}) failed: {:?}", quote.service, quote.cid, quote.error);
///     }
///     Ok(quotes.iter().filter_map(|quote| quote.response).sum())
/// }
/// # fn main() {}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Row<T = Payload> {
    /// The name of the target.
    pub service: String,
    /// The CID that it ran under.
    pub cid: Cid,
    /// `true` if the target completed.
    pub ok: bool,
    /// The response of a target that completed; `None` where it was left out, or is empty and no `T` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<T>,
    /// The response's size in bytes where it was left out because it comes after the first 8 MiB; it can be read by CID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted_bytes: Option<u64>,
    /// The name of the outcome of a target that did not complete, as [`Outcome::name`](crate::Outcome::name) gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The error of a target that did not complete, with its causes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The code of that error, if its handler gave it one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The number of attempts.
    pub attempts: u32,
    /// The start of its last attempt, RFC 3339 in UTC; `None` if there was none.
    pub started_at: Option<String>,
    /// The time of its end, RFC 3339 in UTC.
    pub ended_at: String,
}

/// A row as it is written.
#[derive(Deserialize)]
struct Written {
    service: String,
    cid: Cid,
    ok: bool,
    #[serde(default, deserialize_with = "present")]
    response: Option<Payload>,
    response_base64: Option<String>,
    omitted_bytes: Option<u64>,
    outcome: Option<String>,
    error: Option<String>,
    code: Option<String>,
    attempts: u32,
    started_at: Option<String>,
    ended_at: String,
}

/// A response that is `null` is one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Payload>, D::Error> {
    Payload::deserialize(deserializer).map(Some)
}

impl<'de, T: DeserializeOwned + 'static> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let Written { service, cid, ok, omitted_bytes, outcome, error, code, .. } = written;
        let Written { attempts, started_at, ended_at, .. } = written;
        let raw = written.response_base64.map(|text| STANDARD.decode(text).map(Payload::bytes));
        let payload = match raw.transpose().map_err(D::Error::custom)? {
            Some(bytes) => Some(bytes),
            None => written.response.filter(|_| ok && omitted_bytes.is_none()),
        };
        let response = match payload {
            // What returns nothing is among others that do.
            Some(payload) if payload.is_empty() => payload.decode().ok(),
            Some(payload) => Some(payload.decode().map_err(|error| {
                D::Error::custom(format_args!("the response of `{service}` ({cid}): {error}"))
            })?),
            None => None,
        };
        Ok(Self {
            service,
            cid,
            ok,
            response,
            omitted_bytes,
            outcome,
            error,
            code,
            attempts,
            started_at,
            ended_at,
        })
    }
}
