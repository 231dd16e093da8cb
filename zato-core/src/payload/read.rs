//! From bytes back to a value, by the kind that they were written as.

use std::any::{Any, TypeId, type_name};
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IntoDeserializer as _, Visitor};
use serde_path_to_error::Segment;

use super::kind::Kind;
use super::nested;
use super::payload::Payload;
use crate::name::short_type_name;

/// A payload that is not a value of the type it was to be read as.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// The type that was asked for, without module paths.
    pub expected: String,
    /// The place of the fault in the value, as serde names it (`customer.lines[2].price`); empty for the whole value.
    pub path: String,
    /// The fault.
    pub message: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the payload is not a valid `{}`: ", self.expected)?;
        if !self.path.is_empty() {
            write!(f, "at `{}`: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl Payload {
    /// Reads the payload as a `T`.
    ///
    /// A `Payload` gets it untouched. A `String` takes any kind as text: JSON as its JSON text, empty as `""`.
    /// Any other type is read from JSON, or from text: the string itself where the type takes a string (also
    /// inside a newtype or `Some`), else the text read as JSON. `Option` and `()` take empty.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the bytes are not a `T`; it names the path of the fault.
    pub fn decode<T: DeserializeOwned + 'static>(&self) -> Result<T, DecodeError> {
        read(self)
    }

    /// Reads the payload as the request of a service; `is_rows` where it is the rows of a group.
    pub(crate) fn decode_request<T: DeserializeOwned + 'static>(
        &self,
        is_rows: bool,
    ) -> Result<T, DecodeError> {
        read_request(self, is_rows)
    }
}

/// Inside another value a payload is the JSON at its place, as it is written: numbers of any size and precision, members in
/// their order. A string is read as text, and `null` as empty.
///
/// In internally tagged, untagged and flattened types serde does not keep the text: members are sorted by name, and numbers are
/// those of [`serde_json::Value`].
impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        nested::read(deserializer)
    }
}

/// The depth of nested arrays and objects that `serde_json` reads.
const MAX_DEPTH: usize = 127;

/// The depth that the rows of a group add to a response: the list, and the row.
const AROUND_RESPONSES: usize = 2;

fn read<T: DeserializeOwned + 'static>(payload: &Payload) -> Result<T, DecodeError> {
    read_within(payload, MAX_DEPTH)
}

/// Reads a request. In the rows of a group a response may be as deep as it may be by itself.
fn read_request<T: DeserializeOwned + 'static>(payload: &Payload, is_rows: bool) -> Result<T, DecodeError> {
    read_within(payload, MAX_DEPTH + if is_rows { AROUND_RESPONSES } else { 0 })
}

fn read_within<T: DeserializeOwned + 'static>(payload: &Payload, max_depth: usize) -> Result<T, DecodeError> {
    if TypeId::of::<T>() == TypeId::of::<Payload>() {
        return same(payload.clone()).ok_or_else(|| refused::<T>(String::new(), "not a payload"));
    }
    if TypeId::of::<T>() == TypeId::of::<String>() {
        return String::from_utf8(payload.as_bytes().to_vec())
            .ok()
            .and_then(same)
            .ok_or_else(|| refused::<T>(String::new(), "the bytes are not UTF-8"));
    }
    match (payload.kind(), payload.as_str()) {
        (Kind::Empty, _) => T::deserialize(Nothing).map_err(|_| refused::<T>(String::new(), "it is empty")),
        (Kind::Text, Some(text)) => read_text(text),
        (Kind::Bytes, _) => read_json(payload.as_bytes(), MAX_DEPTH).map_err(|error| DecodeError {
            message: format!("raw bytes are read as JSON: {}", error.message),
            ..error
        }),
        _ => read_json(payload.as_bytes(), max_depth),
    }
}

/// `value` itself where `T` is its type.
fn same<V: 'static, T: 'static>(value: V) -> Option<T> {
    let mut slot = Some(value);
    (&mut slot as &mut dyn Any).downcast_mut::<Option<T>>()?.take()
}

/// A string first, since that is what text was written from. What takes no string gets the text as JSON.
fn read_text<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    T::deserialize(Text(text)).or_else(|as_text| {
        read_json::<T>(text.as_bytes(), MAX_DEPTH).map_err(|as_json| {
            match text.trim_ascii_start().as_bytes().first() {
                Some(b'{' | b'[' | b'"') => as_json,
                None => refused::<T>(String::new(), "the text is empty"),
                _ if as_text.is_syntax() || as_text.is_eof() => {
                    refused::<T>(String::new(), format_args!("the text is not JSON: {as_text}"))
                }
                _ => refused::<T>(String::new(), as_text),
            }
        })
    })
}

/// Reads JSON of at most `max_depth` arrays and objects inside one another. Reads once; only a fault is read again, to learn
/// its path, or because the JSON is deeper than what `serde_json` reads, and no deeper than `max_depth`.
fn read_json<T: DeserializeOwned>(json: &[u8], max_depth: usize) -> Result<T, DecodeError> {
    let mut error = match serde_json::from_slice(json) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let is_deeper = max_depth > MAX_DEPTH && (MAX_DEPTH + 1..=max_depth).contains(&depth(json));
    let open = || {
        let mut json = serde_json::Deserializer::from_slice(json);
        if is_deeper {
            json.disable_recursion_limit();
        }
        json
    };
    if is_deeper {
        let mut json = open();
        match T::deserialize(&mut json).and_then(|value| json.end().map(|()| value)) {
            Ok(value) => return Ok(value),
            Err(found) => error = found,
        }
    }
    match serde_path_to_error::deserialize::<_, T>(&mut open()) {
        Err(found) if found.path().iter().next().is_some_and(|first| !matches!(first, Segment::Unknown)) => {
            Err(refused::<T>(found.path().to_string(), found.inner()))
        }
        _ => Err(refused::<T>(String::new(), error)),
    }
}

/// The largest depth of nested arrays and objects in a JSON text. For a text that is not JSON it is at least the depth that a
/// reader reaches before it finds the fault.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' => now = now.saturating_sub(1),
            b'"' => {
                // To the end of the string; what follows a backslash does not end it.
                while let Some(byte) = bytes.next().filter(|byte| **byte != b'"') {
                    if *byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
    }
    most
}

fn refused<T>(path: String, message: impl fmt::Display) -> DecodeError {
    DecodeError {
        expected: short_type_name(type_name::<T>()),
        path,
        message: without_values(&message.to_string()),
    }
}

/// Returns serde's message without the values that it quotes, because payloads are not logged. The message of a type's own
/// code is kept, cut to [`MAX_MESSAGE`].
fn without_values(message: &str) -> String {
    for fault in ["invalid type: ", "invalid value: "] {
        let (Some(said), Some(expected)) = (message.strip_prefix(fault), message.rfind(", expected ")) else {
            continue;
        };
        let kind = said.split([' ', '`', '"']).next().unwrap_or_default().trim_end_matches(',');
        return format!("{fault}{kind}{}", &message[expected..]);
    }
    let mut short = message.to_owned();
    if short.len() > MAX_MESSAGE {
        short.truncate(short.floor_char_boundary(MAX_MESSAGE));
        short.push_str(" ... (cut off)");
    }
    short
}

/// The bytes of a message that are kept.
const MAX_MESSAGE: usize = 300;

/// The empty payload: what can be nothing takes it.
struct Nothing;

impl<'de> Deserializer<'de> for Nothing {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A text payload: a string to what takes strings, JSON to what takes numbers, sequences and maps.
struct Text<'a>(&'a str);

/// Reads types that a string cannot be from the text as JSON.
macro_rules! from_json {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Self::Error> {
            let mut json = serde_json::Deserializer::from_str(self.0);
            let value = (&mut json).$method($($argument,)* visitor)?;
            json.end()?;
            Ok(value)
        })*
    };
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let variant: StrDeserializer<'_, Self::Error> = self.0.into_deserializer();
        variant.deserialize_enum(name, variants, visitor)
    }

    from_json! {
        deserialize_bool() deserialize_f32() deserialize_f64()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_unit() deserialize_unit_struct(name: &'static str)
        deserialize_seq() deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map() deserialize_struct(name: &'static str, fields: &'static [&'static str])
    }

    serde::forward_to_deserialize_any! { char str string bytes byte_buf identifier ignored_any }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn rows<T: DeserializeOwned + 'static>(payload: &Payload) -> Result<T, DecodeError> {
        read_request(payload, true)
    }

    fn nested(depth: usize) -> Payload {
        Payload::json_document(format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        for (json, expected) in [
            ("", 0),
            ("7", 0),
            ("[]", 1),
            (r#"{"a":[{}],"b":{}}"#, 3),
            (r#"["[[[[","\"[[[","\\",[]]"#, 2),
            (r#"["[[[["#, 1),
            ("]]][[", 2),
        ] {
            assert_eq!(depth(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn rows_are_read_two_levels_deeper_and_nothing_else_is() {
        for (depth, alone, in_rows) in [
            (127, true, true),
            (128, false, true),
            (129, false, true),
            (130, false, false),
            (50_000, false, false),
        ] {
            let payload = nested(depth);
            assert_eq!(read::<Value>(&payload).is_ok(), alone, "{depth}");
            assert_eq!(rows::<Value>(&payload).is_ok(), in_rows, "{depth}");
            let bytes = Payload::bytes(payload.as_bytes().to_vec());
            assert_eq!(rows::<Value>(&bytes).is_ok(), alone, "{depth} as raw bytes");
            let text = Payload::text(payload.to_string());
            assert_eq!(rows::<Vec<Value>>(&text).is_ok(), alone, "{depth} as text");
        }
    }

    #[test]
    fn a_fault_in_deep_rows_has_its_path() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code, reason = "it is never read")]
        struct Line {
            response: Value,
            attempts: u8,
        }
        let json = format!(r#"[{{"response":{},"attempts":-1}}]"#, nested(127));
        let error = rows::<Vec<Line>>(&Payload::json_document(json)).unwrap_err();
        assert_eq!(error.path, "[0].attempts");
        assert!(error.message.starts_with("invalid value: integer, expected u8 at line 1"), "{error}");
        let trailing = Payload::json_document(format!("{} 7", nested(129)));
        assert!(rows::<Value>(&trailing).is_err());
    }
}
