//! Numbers from the environment, with which a test runs longer or again.

/// The number in this variable, or what holds without it.
pub(crate) fn from(name: &str, otherwise: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return otherwise };
    text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}"))
}
