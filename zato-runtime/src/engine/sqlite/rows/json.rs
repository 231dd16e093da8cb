//! The JSON columns: names, options, headers and past attempts. Members of later versions are ignored.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use zato_core::{Backoff, Cid, Labels, Names, Options, ServiceName, When};

use super::codec::time;
use crate::record::Tried;

/// The names as a JSON list; `None` where there are none.
pub(in crate::engine::sqlite) fn names(names: &Names) -> rusqlite::Result<Option<String>> {
    if names.is_empty() {
        return Ok(None);
    }
    write(&names.iter().map(ServiceName::as_str).collect::<Vec<_>>()).map(Some)
}

/// [`Names`] as they are read.
#[derive(Debug, Default)]
pub(in crate::engine::sqlite) struct ReadNames(pub(in crate::engine::sqlite) Names);

impl FromSql for ReadNames {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let names: Vec<String> = read(value)?;
        Ok(Self(names.iter().map(|name| ServiceName::interned(name)).collect()))
    }
}

/// The options as a JSON object that holds what they say, and nothing of what they do not say.
pub(in crate::engine::sqlite) fn options(options: &Options) -> rusqlite::Result<String> {
    write(&Written {
        due: options.due.map(Into::into),
        expires: options.expires.map(Into::into),
        deadline: options.deadline.map(time),
        timeout: options.timeout.map(nanos),
        max_attempts: options.max_attempts,
        backoff: options.backoff.map(Into::into),
        max_losses: options.max_losses,
        priority: options.priority,
        idempotency_key: options.idempotency_key.as_deref().map(Cow::Borrowed),
        concurrency_key: options.concurrency_key.as_deref().map(Cow::Borrowed),
        steps: options.steps.iter().map(|step| Cow::Borrowed(step.as_str())).collect(),
        again_of: options.again_of,
    })
}

/// [`Options`] as they are read.
#[derive(Debug)]
pub(in crate::engine::sqlite) struct ReadOptions(pub(in crate::engine::sqlite) Options);

impl FromSql for ReadOptions {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let written: Written<'static> = read(value)?;
        let mut options = Options::default();
        options.due = written.due.map(Into::into);
        options.expires = written.expires.map(Into::into);
        options.deadline = written.deadline.map(at);
        options.timeout = written.timeout.map(Duration::from_nanos);
        options.max_attempts = written.max_attempts;
        options.backoff = written.backoff.map(Into::into);
        options.max_losses = written.max_losses;
        options.priority = written.priority;
        options.idempotency_key = written.idempotency_key.map(Into::into);
        options.concurrency_key = written.concurrency_key.map(Into::into);
        options.steps = written.steps.iter().map(|step| ServiceName::interned(step)).collect();
        options.again_of = written.again_of;
        Ok(Self(options))
    }
}

/// What stands in the column `headers`: an object; `None` where there is nothing to write.
pub(in crate::engine::sqlite) fn headers(labels: &Labels) -> rusqlite::Result<Option<String>> {
    if labels.is_empty() {
        return Ok(None);
    }
    write(&WrittenHeaders { labels }).map(Some)
}

/// The headers as they are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::engine::sqlite) struct ReadHeaders {
    #[serde(deserialize_with = "read_labels")]
    pub(in crate::engine::sqlite) labels: Labels,
}

impl FromSql for ReadHeaders {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        read(value)
    }
}

/// Headers as they stand in the file.
#[derive(Debug, Serialize)]
struct WrittenHeaders<'a> {
    labels: &'a Labels,
}

fn read_labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    let labels = BTreeMap::<Box<str>, Box<str>>::deserialize(deserializer)?;
    Ok(labels.into_iter().collect())
}

/// Attempts that are over as a JSON list; `None` where there are none.
pub(in crate::engine::sqlite) fn tried(tried: &[Tried]) -> rusqlite::Result<Option<String>> {
    if tried.is_empty() {
        return Ok(None);
    }
    let written = tried.iter().map(|tried| WrittenTried {
        number: tried.number,
        started_at: time(tried.started_at),
        ended_at: time(tried.ended_at),
        error: Cow::Borrowed(&tried.error),
        code: tried.code.as_deref().map(Cow::Borrowed),
        counts: tried.counts,
    });
    write(&written.collect::<Vec<_>>()).map(Some)
}

/// Attempts that are over, as they are read.
#[derive(Debug, Default)]
pub(in crate::engine::sqlite) struct ReadTried(pub(in crate::engine::sqlite) Vec<Tried>);

impl FromSql for ReadTried {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let written: Vec<WrittenTried<'static>> = read(value)?;
        let tried = written.into_iter().map(|written| Tried {
            number: written.number,
            started_at: at(written.started_at),
            ended_at: at(written.ended_at),
            error: written.error.into(),
            code: written.code.map(Into::into),
            counts: written.counts,
        });
        Ok(Self(tried.collect()))
    }
}

/// [`Options`] as they stand in the file. Durations are in nanoseconds; what is longer than 584 years is 584 years.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<WrittenWhen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<WrittenWhen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<WrittenBackoff>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_losses: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency_key: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    again_of: Option<Cid>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenWhen {
    In(u64),
    At(i64),
}

impl From<When> for WrittenWhen {
    fn from(when: When) -> Self {
        match when {
            When::In(duration) => Self::In(nanos(duration)),
            When::At(at) => Self::At(time(at)),
        }
    }
}

impl From<WrittenWhen> for When {
    fn from(when: WrittenWhen) -> Self {
        match when {
            WrittenWhen::In(nanos) => Self::In(Duration::from_nanos(nanos)),
            WrittenWhen::At(nanos) => Self::At(at(nanos)),
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenBackoff {
    Fixed(u64),
    Exponential { from: u64, to: u64 },
}

impl From<Backoff> for WrittenBackoff {
    fn from(backoff: Backoff) -> Self {
        match backoff {
            Backoff::Fixed(wait) => Self::Fixed(nanos(wait)),
            Backoff::Exponential { from, to } => Self::Exponential { from: nanos(from), to: nanos(to) },
        }
    }
}

impl From<WrittenBackoff> for Backoff {
    fn from(backoff: WrittenBackoff) -> Self {
        match backoff {
            WrittenBackoff::Fixed(wait) => Self::Fixed(Duration::from_nanos(wait)),
            WrittenBackoff::Exponential { from, to } => {
                Self::Exponential { from: Duration::from_nanos(from), to: Duration::from_nanos(to) }
            }
        }
    }
}

/// A [`Tried`] as it stands in the file.
#[derive(Debug, Serialize, Deserialize)]
struct WrittenTried<'a> {
    number: u32,
    started_at: i64,
    ended_at: i64,
    error: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Cow<'a, str>>,
    counts: bool,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The time that [`time`] has written; what is before 1970 is its first moment.
fn at(nanos: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

fn write(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn read<T: DeserializeOwned>(value: ValueRef<'_>) -> FromSqlResult<T> {
    serde_json::from_str(value.as_str()?).map_err(FromSqlError::other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::sqlite::test_data::any_options;
    use crate::record::MAX_TRIED;

    fn read_options(json: &str) -> FromSqlResult<Options> {
        ReadOptions::column_result(ValueRef::Text(json.as_bytes())).map(|read| read.0)
    }

    proptest! {
        #[test]
        fn options_come_back(said in any_options()) {
            let json = options(&said).expect("they can be written");
            prop_assert_eq!(read_options(&json).expect("they can be read"), said);
        }
    }

    #[test]
    fn only_what_is_said_is_written() {
        let mut said = Options::default();
        assert_eq!(options(&said).expect("they can be written"), "{}");
        said.timeout = Some(Duration::from_millis(5));
        said.backoff = Some(Backoff::Fixed(Duration::from_micros(1)));
        let json = options(&said).expect("they can be written");
        assert_eq!(json, r#"{"timeout":5000000,"backoff":{"fixed":1000}}"#);
    }

    #[test]
    fn what_a_later_version_adds_is_ignored() {
        let read = read_options(r#"{"priority":3,"colour":"red"}"#).expect("the rest is read");
        assert_eq!(read.priority, Some(3));
        assert!(read_options("{").is_err());
    }

    /// An option that is added must be added here too: this test counts them.
    #[test]
    fn all_options_are_known() {
        let shown = format!("{:#?}", Options::default());
        let fields = shown.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
        assert_eq!(fields.count(), 12, "{shown}");
    }

    #[test]
    fn durations_that_are_too_long_are_the_longest() {
        let mut said = Options::default();
        said.timeout = Some(Duration::MAX);
        let json = options(&said).expect("they can be written");
        let read = read_options(&json).expect("they can be read");
        assert_eq!(read.timeout, Some(Duration::from_nanos(u64::MAX)));
    }

    #[test]
    fn no_attempts_are_no_list() {
        assert_eq!(tried(&[]).expect("nothing to write"), None);
        assert_eq!(names(&Names::new()).expect("nothing to write"), None);
        let one = Tried {
            number: 1,
            started_at: SystemTime::UNIX_EPOCH,
            ended_at: SystemTime::UNIX_EPOCH,
            error: "no".into(),
            code: None,
            counts: true,
        };
        let many = vec![one; MAX_TRIED];
        let json = tried(&many).expect("they can be written").expect("there are some");
        let read = ReadTried::column_result(ValueRef::Text(json.as_bytes())).expect("they can be read");
        assert_eq!(read.0.len(), MAX_TRIED);
    }
}
