//! What calls, settling and workers share. It is made once, when a runtime starts.

pub(crate) mod observer;
pub(crate) mod core;
