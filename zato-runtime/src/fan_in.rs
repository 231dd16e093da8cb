//! What becomes of a group whose members have all ended: a row for each, in the order given; of a chain, the outcome of
//! its last step.

use std::sync::Arc;

use serde_json::to_writer;
use zato_core::{Channel, Ending, Invocation, Kind, Moment, Outcome, Payload, WriteError};

use crate::cid;
use crate::observer::Observer;
use crate::record::{Batch, Ended, Join};
use crate::settle::callbacks;
use crate::words::rfc3339;

/// How many bytes of responses the rows repeat; what comes after is read by CID.
const MAX_RESPONSES: usize = 8 << 20;

/// Completes a group with its rows, as JSON.
pub(crate) struct FanIn {
    /// The door that hears of the callbacks, if one listens.
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl Join for FanIn {
    fn join(&self, group: &Arc<Invocation>, rows: &[Arc<Ended>]) -> (Ended, Batch<Arc<Invocation>>) {
        let last_step = rows.first().filter(|_| group.channel == Channel::Chain);
        let ended = Ended {
            invocation: group.clone(),
            outcome: match last_step {
                Some(step) => of_chain(group, step),
                None => of_rows(rows),
            },
            attempts: last_step.map_or(0, |step| step.attempts),
            started_at: rows.iter().filter_map(|row| row.started_at).min(),
            // One without members ends with its call.
            ended_at: rows.iter().map(|row| row.ended_at).max().unwrap_or(group.called_at),
            before: None,
        };
        let callbacks = callbacks(&ended, last_step.map(|step| &*step.invocation.service), |_| cid::mint());
        if let Some(observer) = &self.observer {
            callbacks.iter().for_each(|callback| observer.entering(callback.cid, callback.channel));
        }
        (ended, callbacks)
    }
}

/// A chain ends as the step that ended it.
fn of_chain(chain: &Invocation, step: &Ended) -> Outcome {
    let steps = chain.options.as_deref().map_or(0, |options| options.steps.len());
    let Invocation { cid, service, callbacks: after, .. } = &*step.invocation;
    let number = steps - after.len();
    step.outcome.clone().because(|ending| {
        let error = format!("step {number} of {steps}, `{service}` ({cid}): {}", ending.error);
        Ending::new(error, ending.permanent)
    })
}

fn of_rows(rows: &[Arc<Ended>]) -> Outcome {
    match payload(rows) {
        Ok(payload) => Outcome::Completed(payload),
        Err(error) => Outcome::Failed(Ending::new(format!("its rows are lost: {error}"), true)),
    }
}

/// An array with an object for each. There may be a hundred thousand, and the engine waits: what needs no escape is
/// written as it stands.
fn payload(all: &[Arc<Ended>]) -> Result<Payload, WriteError> {
    let (mut json, mut times, mut repeated) = (b"[".to_vec(), Times::default(), 0);
    for (index, ended) in all.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write_row(&mut json, ended, &mut times, &mut repeated)?;
    }
    json.push(b']');
    match Payload::from_parts(Kind::Json, json) {
        Some(payload) => Ok(payload),
        None => unreachable!("serde_json writes UTF-8"),
    }
}

/// How one member ended.
fn write_row(
    json: &mut Vec<u8>,
    ended: &Ended,
    times: &mut Times,
    repeated: &mut usize,
) -> Result<(), serde_json::Error> {
    let Ended { invocation, outcome, attempts, started_at, ended_at, .. } = ended;
    json.extend_from_slice(br#"{"service":"#);
    to_writer(&mut *json, &*invocation.service)?;
    json.extend_from_slice(br#","cid":""#);
    json.extend_from_slice(invocation.cid.as_uuid().hyphenated().encode_lower(&mut [0; 36]).as_bytes());
    json.extend_from_slice(br#"","ok":"#);
    to_writer(&mut *json, &outcome.is_completed())?;
    write_result(json, outcome, repeated)?;
    json.extend_from_slice(br#","attempts":"#);
    to_writer(&mut *json, attempts)?;
    json.extend_from_slice(br#","started_at":"#);
    match started_at {
        Some(started_at) => times.write(json, *started_at),
        None => json.extend_from_slice(b"null"),
    }
    json.extend_from_slice(br#","ended_at":"#);
    times.write(json, *ended_at);
    json.push(b'}');
    Ok(())
}

/// What a row tells of a response or an error.
fn write_result(
    json: &mut Vec<u8>,
    outcome: &Outcome,
    repeated: &mut usize,
) -> Result<(), serde_json::Error> {
    let Outcome::Completed(response) = outcome else {
        json.extend_from_slice(br#","outcome":"#);
        to_writer(&mut *json, outcome.name())?;
        json.extend_from_slice(br#","error":"#);
        return to_writer(json, outcome.error().unwrap_or_default());
    };
    *repeated = repeated.saturating_add(response.len());
    if *repeated > MAX_RESPONSES {
        json.extend_from_slice(br#","response":null,"omitted_bytes":"#);
        return to_writer(json, &response.len());
    }
    match (response.kind(), response.as_str()) {
        (Kind::Bytes, None) => {
            json.extend_from_slice(br#","response_base64":"#);
            to_writer(json, &response.to_string())
        }
        (Kind::Bytes, Some(text)) => {
            json.extend_from_slice(br#","response":"#);
            to_writer(json, text)
        }
        _ => {
            json.extend_from_slice(br#","response":"#);
            to_writer(json, response)
        }
    }
}

/// Times as rows tell them. Most are in the same millisecond as the one before.
#[derive(Default)]
struct Times {
    last: Option<(u64, String)>,
}

impl Times {
    fn write(&mut self, json: &mut Vec<u8>, time: Moment) {
        let millis = time.millis();
        let (_, text) = match self.last.take() {
            Some(last) if last.0 == millis => self.last.insert(last),
            _ => self.last.insert((millis, rfc3339(time))),
        };
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use zato_core::ServiceName;

    use super::*;

    fn ended(outcome: Outcome) -> Arc<Ended> {
        let invocation =
            Invocation::root(cid::mint(), ServiceName::linked("a.b"), Payload::empty(), Channel::InvokeAsync);
        let at = std::time::SystemTime::UNIX_EPOCH.into();
        Arc::new(Ended {
            invocation: Arc::new(invocation),
            outcome,
            attempts: 1,
            started_at: Some(at),
            ended_at: at,
            before: None,
        })
    }

    fn rows(outcomes: impl IntoIterator<Item = Outcome>) -> Vec<Value> {
        let rows: Vec<_> = outcomes.into_iter().map(ended).collect();
        payload(&rows).expect("rows can be written").decode().expect("rows are JSON")
    }

    #[test]
    fn every_kind_of_response_has_its_row() {
        let rows = rows([
            Outcome::Completed(Payload::empty()),
            Outcome::Completed(Payload::text("null")),
            Outcome::Completed(Payload::write(&json!({"price": 7})).expect("JSON")),
            Outcome::Completed(Payload::bytes(vec![0xff])),
            Outcome::Completed(Payload::bytes("text")),
            Outcome::Failed(Ending::new("no such order", true)),
        ]);
        let (first, rest) = rows.split_first().expect("six rows");
        assert_eq!(first["service"], "a.b");
        assert_eq!(first["attempts"], 1);
        assert_eq!(first["started_at"], "1970-01-01T00:00:00.000Z");
        assert_eq!(first["response"], Value::Null);
        assert_eq!(rest[0]["response"], "null");
        assert_eq!(rest[1]["response"], json!({"price": 7}));
        assert_eq!(rest[2]["response_base64"], "/w==");
        assert_eq!(rest[3]["response"], "text");
        assert_eq!((&rest[4]["ok"], &rest[4]["error"]), (&json!(false), &json!("no such order")));
        assert!(rest[4].get("response").is_none());
    }

    #[test]
    fn responses_after_the_first_eight_mebibytes_are_left_out() {
        let large = Outcome::Completed(Payload::text("x".repeat(5 << 20)));
        let rows = rows([large.clone(), large]);
        assert!(rows[0]["response"].is_string());
        assert_eq!(rows[1]["response"], Value::Null);
        assert_eq!(rows[1]["omitted_bytes"], 5 << 20);
        assert_eq!(rows[1]["ok"], true);
    }
}
