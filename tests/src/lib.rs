//! Tests that no crate of the workspace can hold alone. They are in the folders beside this one.

/// The programs of the README, compiled and run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
