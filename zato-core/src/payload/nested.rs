//! Payloads inside other values: the JSON at that place, as it is written.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::payload::Payload;

/// Reads a payload inside a value, with every digit, and with members in their order.
///
/// Serde buffers the content of internally tagged, untagged and flattened types before their members are read, so there the
/// text is not available: the payload is written from the buffered value, with integers up to 64 bits and members sorted by name.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
    let raw = Box::<RawValue>::deserialize(RawOrBuffered(deserializer))?;
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(json).map(Payload::text).map_err(D::Error::custom),
        Some(b'n') => Ok(Payload::empty()),
        _ => Ok(Payload::json_document(Box::<str>::from(raw).into())),
    }
}

/// A deserializer of a [`RawValue`] that accepts a buffered value if there is no text.
struct RawOrBuffered<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for RawOrBuffered<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    /// `name` is how `serde_json` tells that the text is asked for. It answers with a map, and others with the value itself.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, TextOrValue { name, visitor })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct TextOrValue<V> {
    name: &'static str,
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for TextOrValue<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(map)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        value.deserialize_newtype_struct(self.name, self.visitor).map_err(de::Error::custom)
    }
}
