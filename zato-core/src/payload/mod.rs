//! Payloads: owned bytes, and the kind of value that they were written from.

mod held;
mod kinds;
mod nested;
mod floats;
mod write;
mod read;

pub use kinds::{Kind, Payload};
pub use read::DecodeError;
pub use write::WriteError;
