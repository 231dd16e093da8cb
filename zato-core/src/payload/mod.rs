//! Payloads: owned bytes, and the kind of value that they were written from.

mod kind;
mod storage;
#[expect(clippy::module_inception, reason = "the payload itself, beside how it is written and read")]
mod payload;
mod nested;
mod floats;
mod write;
mod read;

pub use kind::Kind;
pub use payload::Payload;
pub use read::DecodeError;
pub use write::WriteError;
