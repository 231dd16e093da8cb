//! The kind of value that a payload was written from.

/// The kind of value in a [`Payload`](super::Payload).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// The unit, and whatever serde writes as one: no bytes at all.
    #[default]
    Empty,
    /// A top-level string: its own characters, in UTF-8, without quotes.
    Text,
    /// Everything else that serde writes: JSON.
    Json,
    /// Raw bytes of any content.
    Bytes,
}
