//! How data is printed: as text for people, or as JSON, one value a line.

use std::io::{self, Write};
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use zato_core::{Kind, Outcome, Payload};

use super::args::Global;
use super::terminal::{Tone, beside_bar};
use super::zone;
use crate::base::format::{Zone, escaped};
use crate::record::Ended;

/// Prints to standard output. A reader that goes away (`| head`) ends the printing, not the program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) json: bool,
    /// The time zone of times in text.
    pub(super) zone: Zone,
}

impl Output {
    pub(super) fn new(global: &Global) -> Self {
        Self { json: global.json, zone: zone::shown(global.utc) }
    }

    pub(super) fn line(text: &str) {
        Self::write(format!("{text}\n").as_bytes());
    }

    /// Prints lines in one step.
    pub(super) fn lines(lines: &[String]) {
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        Self::write(text.as_bytes());
    }

    pub(super) fn value(value: &Value) {
        Self::line(&value.to_string());
    }

    /// Prints a response alone: its text, or its raw bytes.
    pub(super) fn response(payload: &Payload) {
        match payload.kind() {
            Kind::Empty => {}
            Kind::Bytes => Self::write(payload.as_bytes()),
            Kind::Text | Kind::Json => Self::line(&payload.to_string()),
        }
    }

    /// Prints how an invocation ended.
    pub(super) fn ended(self, ended: &Ended) {
        if self.json {
            return Self::value(&ended_value(ended));
        }
        let invocation = &ended.invocation;
        let reply = invocation.in_reply_to().map(|cid| format!(" (in reply to {cid})")).unwrap_or_default();
        // One outcome is one line, whatever a handler has put into it.
        let outcome = one_line(&ended.outcome);
        let tone = if ended.outcome.is_completed() { Tone::Good } else { Tone::Bad };
        let name = ended.outcome.name();
        let outcome = outcome.strip_prefix(name).map_or(outcome.clone(), |rest| tone.on_stdout(name) + rest);
        Self::line(&format!("{} {}{reply} {outcome}", invocation.cid, invocation.service));
    }

    fn write(bytes: &[u8]) {
        let written = beside_bar(|| {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        });
        // Whoever closed the pipe has seen enough; everything else is a fault, and reported when the program ends.
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let _ = FAULT.set(error);
        }
    }

    /// The first fault in writing, if there was one.
    pub(super) fn fault() -> Option<&'static io::Error> {
        FAULT.get()
    }
}

/// The first fault in writing to standard output.
static FAULT: OnceLock<io::Error> = OnceLock::new();

/// An outcome on one line.
fn one_line(outcome: &Outcome) -> String {
    escaped(&outcome.to_string()).replace('\n', "\\n")
}

fn ended_value(ended: &Ended) -> Value {
    let invocation = &ended.invocation;
    let mut value = Map::new();
    value.insert("cid".into(), json!(invocation.cid));
    value.insert("service".into(), json!(&*invocation.service));
    value.insert("outcome".into(), json!(ended.outcome.name()));
    match &ended.outcome {
        Outcome::Completed(payload) => value.insert("response".into(), payload_value(payload)),
        outcome => {
            value.insert("error".into(), json!(outcome.error()));
            value.insert("code".into(), json!(outcome.code()))
        }
    };
    value.insert("attempts".into(), json!(ended.attempts));
    value.insert("in_reply_to".into(), json!(invocation.in_reply_to()));
    value.insert("parent".into(), json!(invocation.parent));
    value.insert("root".into(), json!(invocation.root));
    Value::Object(value)
}

/// A payload inside JSON: text as a string, bytes that are not text in base64 under a key that says so. JSON that is deeper
/// than what can be read is shown as its text.
fn payload_value(payload: &Payload) -> Value {
    match payload.kind() {
        Kind::Empty => Value::Null,
        Kind::Text => Value::String(payload.to_string()),
        Kind::Json => payload.decode().unwrap_or_else(|_| Value::String(payload.to_string())),
        Kind::Bytes => match payload.as_str() {
            Some(text) => Value::String(text.to_owned()),
            None => json!({ "base64": payload.to_string() }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a group put two values around a response, so they may be deeper than what is read.
    #[test]
    fn a_response_that_is_too_deep_to_be_read_is_shown_as_text() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let value = payload_value(&Payload::json_document(nested(127)));
        assert_eq!(value.to_string(), nested(127));
        let value = payload_value(&Payload::json_document(nested(128)));
        assert_eq!(value, Value::String(nested(128)));
    }
}
