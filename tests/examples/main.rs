//! Every example is run as a person would run it, and its output compared with `examples/expected/`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that is not what it should be panics")]

mod program;
mod expected;
mod printed;
mod orders;
mod digest;
