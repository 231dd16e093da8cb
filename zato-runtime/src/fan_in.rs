//! What becomes of a group whose members have all ended: a row for each, in the order given; of a chain, the outcome of
//! its last step.

use std::sync::Arc;

use serde::Serialize;
use zato_core::{Channel, Cid, Ending, Invocation, Kind, Outcome, Payload, WriteError};

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

/// How one member ended.
#[derive(Serialize)]
struct Row<'a> {
    service: &'a str,
    cid: Cid,
    ok: bool,
    #[serde(flatten)]
    result: Told<'a>,
    attempts: u32,
    started_at: Option<String>,
    ended_at: String,
}

/// What a row tells of a response or an error.
#[derive(Serialize)]
#[serde(untagged)]
enum Told<'a> {
    Response { response: &'a Payload },
    Text { response: &'a str },
    Base64 { response_base64: String },
    Omitted { response: (), omitted_bytes: usize },
    Failed { outcome: &'static str, error: &'a str },
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
            ended_at: rows.iter().map(|row| row.ended_at).max().unwrap_or(group.called_at.into()),
            before: None,
        };
        let callbacks = callbacks(&ended, last_step.map(|step| &*step.invocation.service), |_| cid::mint());
        if let Some(observer) = &self.observer {
            callbacks.iter().for_each(|callback| observer.entering(callback));
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

fn payload(ended: &[Arc<Ended>]) -> Result<Payload, WriteError> {
    let mut repeated = 0;
    let rows: Vec<_> = ended.iter().map(|ended| row(ended, &mut repeated)).collect();
    Payload::write(&rows)
}

fn row<'a>(ended: &'a Ended, repeated: &mut usize) -> Row<'a> {
    Row {
        service: &ended.invocation.service,
        cid: ended.invocation.cid,
        ok: ended.outcome.is_completed(),
        result: told(&ended.outcome, repeated),
        attempts: ended.attempts,
        started_at: ended.started_at.map(rfc3339),
        ended_at: rfc3339(ended.ended_at),
    }
}

fn told<'a>(outcome: &'a Outcome, repeated: &mut usize) -> Told<'a> {
    let Outcome::Completed(response) = outcome else {
        return Told::Failed { outcome: outcome.name(), error: outcome.error().unwrap_or_default() };
    };
    *repeated = repeated.saturating_add(response.len());
    if *repeated > MAX_RESPONSES {
        return Told::Omitted { response: (), omitted_bytes: response.len() };
    }
    match (response.kind(), response.as_str()) {
        (Kind::Bytes, Some(text)) => Told::Text { response: text },
        (Kind::Bytes, None) => Told::Base64 { response_base64: response.to_string() },
        _ => Told::Response { response },
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::{Value, json};
    use zato_core::ServiceName;

    use super::*;

    fn ended(outcome: Outcome) -> Arc<Ended> {
        let invocation =
            Invocation::root(cid::mint(), ServiceName::linked("a.b"), Payload::empty(), Channel::InvokeAsync);
        let at = SystemTime::UNIX_EPOCH;
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
