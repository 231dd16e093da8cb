//! From a value to bytes: strings as their own characters, the unit as nothing, everything else as JSON.

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use super::floats;
use super::kind::Kind;
use super::payload::Payload;

/// A value that could not be written as a payload.
#[derive(Debug, thiserror::Error)]
#[error("the value cannot be written as JSON: {0}")]
pub struct WriteError(#[from] serde_json::Error);

/// The name under which raw bytes make themselves known to [`write()`]. Other serializers see a newtype.
pub(super) const RAW_BYTES: &str = "$zato::RawBytes";

/// The bytes of a payload that was made from raw bytes.
pub(super) struct RawBytes<'a>(pub(super) &'a [u8]);

impl Serialize for RawBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Payload {
    /// Writes any value that serde can serialize.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if the value's own `Serialize` fails, or if JSON cannot hold it: a map with a key that is not a
    /// string, number or boolean, or a float that is NaN or infinite.
    pub fn write<T: Serialize + ?Sized>(value: &T) -> Result<Self, WriteError> {
        write(value)
    }
}

/// Sent on, a payload keeps its kind. Inside another value it is what it was written from; raw bytes are a
/// sequence of numbers.
impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.kind() {
            Kind::Empty => serializer.serialize_unit(),
            Kind::Text => self.as_str().unwrap_or_default().serialize(serializer),
            Kind::Json => serde_json::from_slice::<&RawValue>(self.as_bytes())
                .map_err(S::Error::custom)?
                .serialize(serializer),
            Kind::Bytes => serializer.serialize_newtype_struct(RAW_BYTES, &RawBytes(self.as_bytes())),
        }
    }
}

#[inline]
fn write<T: Serialize + ?Sized>(value: &T) -> Result<Payload, WriteError> {
    let mut json = serde_json::Serializer::new(Vec::new());
    let mut plain = None;
    value.serialize(TopLevel { json: &mut json, plain: &mut plain, raw: false })?;
    if let Some(plain) = plain {
        return Ok(plain);
    }
    let json = json.into_inner();
    floats::check(value, &json)?;
    Ok(Payload::written(Kind::Json, json))
}

type Json = serde_json::Serializer<Vec<u8>>;

/// Sees the outermost value alone: what is not a string or a unit goes to JSON whole.
struct TopLevel<'a> {
    json: &'a mut Json,
    /// Set by what is not written as JSON.
    plain: &'a mut Option<Payload>,
    /// `true` if the value is a payload's raw bytes.
    raw: bool,
}

impl TopLevel<'_> {
    #[inline]
    fn plain(self, kind: Kind, bytes: &[u8]) {
        *self.plain = Some(Payload::copied(kind, bytes));
    }
}

/// Scalars that JSON writes as they are.
macro_rules! to_json {
    ($($method:ident($type:ty))*) => {
        $(fn $method(self, value: $type) -> Result<(), Self::Error> {
            self.json.$method(value)
        })*
    };
}

impl<'a> Serializer for TopLevel<'a> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = <&'a mut Json as Serializer>::SerializeSeq;
    type SerializeTuple = <&'a mut Json as Serializer>::SerializeTuple;
    type SerializeTupleStruct = <&'a mut Json as Serializer>::SerializeTupleStruct;
    type SerializeTupleVariant = <&'a mut Json as Serializer>::SerializeTupleVariant;
    type SerializeMap = <&'a mut Json as Serializer>::SerializeMap;
    type SerializeStruct = <&'a mut Json as Serializer>::SerializeStruct;
    type SerializeStructVariant = <&'a mut Json as Serializer>::SerializeStructVariant;

    to_json! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64)
    }

    fn serialize_char(self, value: char) -> Result<(), Self::Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Self::Error> {
        self.plain(Kind::Text, value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Self::Error> {
        if self.raw {
            self.plain(Kind::Bytes, value);
            return Ok(());
        }
        self.json.serialize_bytes(value)
    }

    fn serialize_none(self) -> Result<(), Self::Error> {
        self.json.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Self::Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Self::Error> {
        self.plain(Kind::Empty, &[]);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Self::Error> {
        self.serialize_unit()
    }

    /// A variant without data is a string to JSON, and so it is one here.
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Self::Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Self::Error> {
        value.serialize(Self { raw: name == RAW_BYTES, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Self::Error> {
        self.json.serialize_newtype_variant(name, index, variant, value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, Self::Error> {
        self.json.serialize_seq(len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, Self::Error> {
        self.json.serialize_tuple(len)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, Self::Error> {
        self.json.serialize_tuple_struct(name, len)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Self::Error> {
        self.json.serialize_tuple_variant(name, index, variant, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, Self::Error> {
        self.json.serialize_map(len)
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, Self::Error> {
        self.json.serialize_struct(name, len)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Self::Error> {
        self.json.serialize_struct_variant(name, index, variant, len)
    }
}
