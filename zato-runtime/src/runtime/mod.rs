//! The runtime as a program uses it: built, called, asked, and shut down.

pub(crate) mod error;
pub(crate) mod builder;
pub(crate) mod handle;
pub(crate) mod explain;
pub(crate) mod admin;
