//! The rows that a group's final callback receives: a JSON array with an object for each member, in the order of
//! their slots.
//!
//! A group may have a hundred thousand members, and the engine waits while their rows are written. So text that needs
//! no escape is copied as it is, and the parts of a row before and after its response are reused from the row before,
//! since most rows share them.
//!
//! A payload inside JSON (failure reports, rows) is a string where it is UTF-8, and base64 under a key of its own
//! where it is not.

use serde_json::value::RawValue;
use zato_core::{Cid, Kind, Moment, Outcome, Payload, ServiceName};

use crate::base::format::rfc3339;

/// How many bytes of responses are repeated; what comes after is read by CID.
const MAX_RESPONSES: usize = 8 << 20;

/// What is told of a member takes about so many bytes at the most, but for its response.
const FEW_BYTES: usize = 512;

/// How a member of a group has ended.
#[derive(Debug)]
pub struct Member<'a> {
    /// The member.
    pub cid: Cid,
    /// What was run.
    pub service: ServiceName,
    /// What came of it.
    pub told: MemberResult<'a>,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the last of them started.
    pub started_at: Option<Moment>,
    /// When it ended.
    pub ended_at: Moment,
}

/// What came of a member.
#[derive(Debug)]
pub enum MemberResult<'a> {
    /// It has completed with this response.
    Response(Kind, &'a [u8]),
    /// It has ended in anything else.
    Failure(&'a Outcome),
}

/// The rows of all members of a group.
#[derive(Debug, Default)]
pub struct GroupRows {
    json: String,
    /// What stands before a CID: the service.
    front: Repeated<ServiceName>,
    /// What stands behind a response: how many attempts, and in which milliseconds.
    back: Repeated<(u32, Option<u64>, u64)>,
    /// How many bytes of responses there were.
    repeated: usize,
    /// When the first of them started, and the last ended.
    started_at: Option<Moment>,
    ended_at: Option<Moment>,
}

impl GroupRows {
    /// Writes the rows of these members.
    ///
    /// # Errors
    ///
    /// A response of kind JSON is not JSON.
    pub fn of(members: &mut dyn Iterator<Item = Member<'_>>) -> Result<Self, serde_json::Error> {
        let mut all = Self::default();
        while let Some(member) = members.next() {
            let is_first = all.json.is_empty();
            all.push(&member)?;
            if is_first {
                all.reserve(members.size_hint().1.unwrap_or_default(), all.json.len());
            }
        }
        Ok(all)
    }

    /// Adds the row of one more member.
    fn push(&mut self, member: &Member<'_>) -> Result<(), serde_json::Error> {
        self.json.push(if self.json.is_empty() { '[' } else { ',' });
        self.write(member)?;
        self.started_at = self.started_at.into_iter().chain(member.started_at).min();
        self.ended_at = self.ended_at.max(Some(member.ended_at));
        Ok(())
    }

    /// Reserves room for so many more members, whose rows are about as long as the first one's.
    fn reserve(&mut self, members: usize, bytes_each: usize) {
        let most = FEW_BYTES + MAX_RESPONSES / members.max(1);
        self.json.reserve(members.saturating_mul(bytes_each.min(most)));
    }

    /// Returns the array, when the first member started, and when the last one ended.
    pub fn into_parts(mut self) -> (Payload, Option<Moment>, Option<Moment>) {
        if self.json.is_empty() {
            self.json.push('[');
        }
        self.json.push(']');
        (Payload::json_document(self.json), self.started_at, self.ended_at)
    }

    /// Writes the row of one member.
    fn write(&mut self, member: &Member<'_>) -> Result<(), serde_json::Error> {
        let Self { json, front, back, .. } = self;
        let Member { cid, service, ref told, attempts, started_at, ended_at } = *member;
        json.push_str(front.written(service, || format!(r#"{{"service":{},"cid":""#, quoted(&service))));
        json.push_str(cid.as_uuid().hyphenated().encode_lower(&mut [0; 36]));
        match told {
            MemberResult::Response(kind, response) => {
                self.repeated = self.repeated.saturating_add(response.len());
                write_response(json, (*kind, response), self.repeated > MAX_RESPONSES)?;
            }
            MemberResult::Failure(outcome) => {
                json.push_str(r#"","ok":false,"outcome":"#);
                write_text(json, outcome.name());
                json.push_str(r#","error":"#);
                write_text(json, outcome.error().unwrap_or_default());
                if let Some(code) = outcome.code() {
                    json.push_str(r#","code":"#);
                    write_text(json, code);
                }
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

/// What is told of a response, from the end of its CID on.
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
#[derive(Debug)]
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
    use zato_core::Ending;

    use super::*;

    fn told(outcome: &Outcome) -> Member<'_> {
        let told = match outcome {
            Outcome::Completed(response) => MemberResult::Response(response.kind(), response.as_bytes()),
            failure => MemberResult::Failure(failure),
        };
        let at = std::time::SystemTime::UNIX_EPOCH.into();
        let service = ServiceName::linked("a.b");
        Member {
            cid: crate::base::cid::mint(None),
            service,
            told,
            attempts: 1,
            started_at: Some(at),
            ended_at: at,
        }
    }

    fn read(summary: GroupRows) -> Vec<Value> {
        summary.into_parts().0.decode().expect("it is JSON")
    }

    fn rows(outcomes: &[Outcome]) -> Vec<Value> {
        read(GroupRows::of(&mut outcomes.iter().map(told)).expect("all can be told"))
    }

    #[test]
    fn every_kind_of_response_has_its_row() {
        let rows = rows(&[
            Outcome::Completed(Payload::empty()),
            Outcome::Completed(Payload::text("null")),
            Outcome::Completed(Payload::write(&json!({"price": 7})).expect("JSON")),
            Outcome::Completed(Payload::bytes(vec![0xff])),
            Outcome::Completed(Payload::bytes("text")),
            Outcome::Failed(Ending::new("no such order", true)),
            Outcome::Failed(Ending::new("no", false).with_code(Some("card.\"declined\"".into()))),
        ]);
        let (first, rest) = rows.split_first().expect("seven rows");
        assert_eq!(first["service"], "a.b");
        assert_eq!(first["attempts"], 1);
        assert_eq!(first["started_at"], "1970-01-01T00:00:00.000Z");
        assert_eq!(first["response"], Value::Null);
        assert_eq!(rest[0]["response"], "null");
        assert_eq!(rest[1]["response"], json!({"price": 7}));
        assert_eq!(rest[2]["response_base64"], "/w==");
        assert_eq!(rest[3]["response"], "text");
        assert_eq!((&rest[4]["ok"], &rest[4]["error"]), (&json!(false), &json!("no such order")));
        assert!(rest[4].get("response").is_none() && rest[4].get("code").is_none());
        assert_eq!(rest[5]["code"], "card.\"declined\"");
    }

    #[test]
    fn responses_after_the_first_eight_mebibytes_are_left_out() {
        let large = Outcome::Completed(Payload::text("x".repeat(5 << 20)));
        let rows = rows(&[large.clone(), large]);
        assert!(rows[0]["response"].is_string());
        assert_eq!(rows[1]["response"], Value::Null);
        assert_eq!(rows[1]["omitted_bytes"], 5 << 20);
        assert_eq!(rows[1]["ok"], true);
    }
}
