//! A payload inside `--json`: as it is, digit for digit.

use serde_json::value::{RawValue, to_raw_value};
use zato_core::{Kind, Payload};

/// The payload as a JSON value: JSON itself, text as a string, bytes that are not UTF-8 as `{"base64": ".."}`, and `null` where
/// it is empty.
pub(super) fn json(payload: &Payload) -> serde_json::Result<Box<RawValue>> {
    match payload.kind() {
        Kind::Empty => to_raw_value(&()),
        // A line break inside a string is escaped: those that are left are white space, and a value is one line.
        Kind::Json => RawValue::from_string(payload.to_string().replace(['\n', '\r'], " ")),
        _ => match payload.as_str() {
            Some(text) => to_raw_value(text),
            None => to_raw_value(&serde_json::json!({ "base64": payload.to_string() })),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_one_value_on_one_line() -> Result<(), Box<dyn std::error::Error>> {
        let cases = [
            (Payload::write(&())?, "null"),
            (Payload::write("a\nb")?, r#""a\nb""#),
            (Payload::write(&f64::MAX)?, "1.7976931348623157e+308"),
            (Payload::write(&u128::MAX)?, "340282366920938463463374607431768211455"),
            (Payload::bytes(b"\xff".to_vec()), r#"{"base64":"/w=="}"#),
        ];
        for (payload, expected) in cases {
            assert_eq!(json(&payload)?.get(), expected);
        }
        Ok(())
    }
}
