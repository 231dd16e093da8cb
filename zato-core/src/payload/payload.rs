//! A payload: bytes with a kind, how it is made of raw parts, and how it is shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;

use super::kind::Kind;
use super::storage::Storage;

/// The request or the response of an invocation: owned bytes, and the [`Kind`] of value they hold.
///
/// A payload is immutable, and cloning it shares the bytes. What a type was written from, it is read back to:
///
/// ```
/// use zato_core::{Kind, Payload};
///
/// let number = Payload::write(&123)?;
/// let text = Payload::write("123")?;
/// assert_eq!((number.kind(), text.kind()), (Kind::Json, Kind::Text));
/// assert_eq!(text.decode::<String>()?, "123");
/// assert_eq!(number.to_string(), "123");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload {
    held: Storage,
}

impl Payload {
    /// The empty payload, which `()` is written as.
    #[inline]
    pub const fn empty() -> Self {
        Self { held: Storage::EMPTY }
    }

    /// A string's own characters.
    pub fn text(text: impl Into<String>) -> Self {
        Self { held: Storage::of_bytes(Kind::Text, text.into().into()) }
    }

    /// Raw bytes, which travel as they are.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { held: Storage::of_bytes(Kind::Bytes, bytes.into()) }
    }

    /// Makes a payload of bytes from outside whose kind is not given: JSON if they are an object or an array, raw bytes if
    /// they are not UTF-8, empty if there are none, and text otherwise.
    pub fn from_outside(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let kind = match std::str::from_utf8(&bytes) {
            Ok("") => Kind::Empty,
            Ok(text) if is_json_object_or_array(text) => Kind::Json,
            Ok(_) => Kind::Text,
            Err(_) => Kind::Bytes,
        };
        Self { held: Storage::of_bytes(kind, bytes) }
    }

    /// The kind of value.
    #[inline]
    pub fn kind(&self) -> Kind {
        self.held.kind()
    }

    /// The bytes: the string's own characters for [`Kind::Text`], a JSON document for [`Kind::Json`].
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.held.as_bytes()
    }

    /// The characters, unless the payload is [`Kind::Bytes`] that are not UTF-8.
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }

    /// The number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns `true` if there are no bytes: for [`Kind::Empty`], and for an empty string.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// A payload that was taken apart, by [`kind`](Self::kind) and [`as_bytes`](Self::as_bytes), put together again.
    /// `None` where no payload is like that: text or JSON that is not UTF-8, or an empty one with bytes. Whether JSON
    /// is well-formed is seen when it is read.
    ///
    /// ```
    /// use zato_core::{Kind, Payload};
    ///
    /// assert_eq!(Payload::from_parts(Kind::Text, "ready"), Some(Payload::text("ready")));
    /// assert_eq!(Payload::from_parts(Kind::Text, vec![0xff]), None);
    /// ```
    pub fn from_parts(kind: Kind, bytes: impl Into<Bytes>) -> Option<Self> {
        let bytes = bytes.into();
        let is_one = match kind {
            Kind::Empty => bytes.is_empty(),
            Kind::Text | Kind::Json => std::str::from_utf8(&bytes).is_ok(),
            Kind::Bytes => true,
        };
        is_one.then(|| Self { held: Storage::of_bytes(kind, bytes) })
    }

    /// A JSON document; whether it is well-formed is seen when it is read.
    #[doc(hidden)]
    pub fn json_document(json: String) -> Self {
        Self { held: Storage::of_bytes(Kind::Json, json.into()) }
    }

    /// Makes a payload of a copy of `bytes`.
    #[inline]
    pub(super) fn copied(kind: Kind, bytes: &[u8]) -> Self {
        Self { held: Storage::copied(kind, bytes) }
    }

    pub(super) fn written(kind: Kind, bytes: Vec<u8>) -> Self {
        Self { held: Storage::of_bytes(kind, bytes.into()) }
    }
}

fn is_json_object_or_array(text: &str) -> bool {
    matches!(text.trim_ascii_start().as_bytes().first(), Some(b'{' | b'['))
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The payload's text; bytes that are not UTF-8 are shown in base64.
impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => f.pad(text),
            None => f.pad(&STANDARD.encode(self.as_bytes())),
        }
    }
}

/// Kind and length: what a payload holds is not for logs.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({:?}, {} bytes)", self.kind(), self.len())
    }
}
