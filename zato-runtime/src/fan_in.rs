//! What becomes of a group whose members have all ended: a row for each, in the order given; of a chain, the outcome of
//! its last step.

use std::sync::Arc;

use serde_json::value::RawValue;
use zato_core::{Channel, Ending, Invocation, Kind, Moment, Outcome, Payload, ServiceName};

use crate::cid;
use crate::observer::Observer;
use crate::record::{Batch, Ended, Join, Member, Told};
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
        match rows.first().filter(|_| group.channel == Channel::Chain) {
            Some(step) => {
                let Ended { attempts, started_at, ended_at, .. } = **step;
                let (invocation, outcome, before) = (group.clone(), of_chain(group, step), None);
                let ended = Ended { invocation, outcome, attempts, started_at, ended_at, before };
                self.with_callbacks(ended, Some(&step.invocation.service))
            }
            None => self.join_members(group, &mut rows.iter().map(|row| Member::of(row))),
        }
    }

    fn join_members(
        &self,
        group: &Arc<Invocation>,
        members: &mut dyn Iterator<Item = Member<'_>>,
    ) -> (Ended, Batch<Arc<Invocation>>) {
        let mut rows = Rows::default();
        let written = rows.write_all(members);
        let outcome = match written.map(|()| rows.payload()) {
            Ok(payload) => Outcome::Completed(payload),
            Err(error) => Outcome::Failed(Ending::new(format!("its rows are lost: {error}"), true)),
        };
        let ended = Ended {
            invocation: group.clone(),
            outcome,
            attempts: 0,
            started_at: rows.started_at,
            // One without members ends with its call.
            ended_at: rows.ended_at.unwrap_or(group.called_at),
            before: None,
        };
        self.with_callbacks(ended, None)
    }
}

impl FanIn {
    fn with_callbacks(&self, ended: Ended, step: Option<&str>) -> (Ended, Batch<Arc<Invocation>>) {
        let callbacks = callbacks(&ended, step, |_| cid::mint());
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

/// An array with an object for each member. There may be a hundred thousand, and the engine waits: what needs no escape is
/// written as it stands.
#[derive(Default)]
struct Rows {
    json: String,
    /// What stands before a CID: the service.
    front: Repeated<ServiceName>,
    /// What stands behind a result: how many attempts, and in which milliseconds.
    back: Repeated<(u32, Option<u64>, u64)>,
    /// How many bytes of responses there were.
    repeated: usize,
    /// When the first of them started, and the last ended.
    started_at: Option<Moment>,
    ended_at: Option<Moment>,
}

impl Rows {
    fn write_all(&mut self, members: &mut dyn Iterator<Item = Member<'_>>) -> Result<(), serde_json::Error> {
        while let Some(member) = members.next() {
            let before = self.json.len();
            self.json.push(if before == 0 { '[' } else { ',' });
            self.write(&member)?;
            if before == 0 {
                // The others are about as long.
                self.json.reserve(self.json.len().saturating_mul(members.size_hint().1.unwrap_or_default()));
            }
            self.started_at = self.started_at.into_iter().chain(member.started_at).min();
            self.ended_at = self.ended_at.max(Some(member.ended_at));
        }
        Ok(())
    }

    fn payload(&mut self) -> Payload {
        if self.json.is_empty() {
            self.json.push('[');
        }
        self.json.push(']');
        Payload::json_document(std::mem::take(&mut self.json))
    }

    /// How one member ended.
    fn write(&mut self, member: &Member<'_>) -> Result<(), serde_json::Error> {
        let Self { json, front, back, .. } = self;
        let Member { cid, service, ref told, attempts, started_at, ended_at } = *member;
        json.push_str(front.written(service, || format!(r#"{{"service":{},"cid":""#, quoted(&service))));
        json.push_str(cid.as_uuid().hyphenated().encode_lower(&mut [0; 36]));
        match told {
            Told::Response(kind, response) => {
                self.repeated = self.repeated.saturating_add(response.len());
                write_response(json, (*kind, response), self.repeated > MAX_RESPONSES)?;
            }
            Told::Failure(outcome) => {
                json.push_str(r#"","ok":false,"outcome":"#);
                write_text(json, outcome.name());
                json.push_str(r#","error":"#);
                write_text(json, outcome.error().unwrap_or_default());
            }
        }
        let millis = (attempts, started_at.map(Moment::millis), ended_at.millis());
        json.push_str(back.written(millis, || {
            let started = started_at.map_or_else(|| "null".to_owned(), |at| quoted(&rfc3339(at)));
            let ended = quoted(&rfc3339(ended_at));
            format!(r#","attempts":{attempts},"started_at":{started},"ended_at":{ended}}}"#)
        }));
        Ok(())
    }
}

/// What a row tells of a response, from the end of its CID on.
fn write_response(
    json: &mut String,
    (kind, response): (Kind, &[u8]),
    is_omitted: bool,
) -> Result<(), serde_json::Error> {
    if is_omitted {
        json.push_str(r#"","ok":true,"response":null,"omitted_bytes":"#);
        json.push_str(&response.len().to_string());
        return Ok(());
    }
    match (kind, std::str::from_utf8(response)) {
        (Kind::Bytes, Err(_)) => {
            json.push_str(r#"","ok":true,"response_base64":"#);
            write_text(json, &Payload::bytes(response.to_vec()).to_string());
        }
        (Kind::Text | Kind::Bytes, Ok(text)) => {
            json.push_str(r#"","ok":true,"response":"#);
            write_text(json, text);
        }
        (Kind::Json, Ok(text)) => {
            json.push_str(r#"","ok":true,"response":"#);
            json.push_str(serde_json::from_str::<&RawValue>(text)?.get());
        }
        (Kind::Empty | Kind::Text | Kind::Json, _) => json.push_str(r#"","ok":true,"response":null"#),
    }
    Ok(())
}

/// Writes a string in quotes. Most need no escape.
fn write_text(json: &mut String, text: &str) {
    let needs_escape = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // Without a branch for each byte.
    if text.bytes().fold(false, |any, byte| any | needs_escape(byte)) {
        json.push_str(&serde_json::Value::from(text).to_string());
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    write_text(&mut json, text);
    json
}

/// How something is written that is nearly always the same as the time before.
struct Repeated<T> {
    last: Option<(T, String)>,
}

impl<T> Default for Repeated<T> {
    fn default() -> Self {
        Self { last: None }
    }
}

impl<T: PartialEq + Copy> Repeated<T> {
    fn written(&mut self, what: T, write: impl FnOnce() -> String) -> &str {
        let (_, text) = match self.last.take() {
            Some(last) if last.0 == what => self.last.insert(last),
            _ => self.last.insert((what, write())),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        let (all, mut rows): (Vec<_>, _) = (outcomes.into_iter().map(ended).collect(), Rows::default());
        rows.write_all(&mut all.iter().map(|one| Member::of(one))).expect("rows can be written");
        rows.payload().decode().expect("rows are JSON")
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
