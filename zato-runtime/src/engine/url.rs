//! From an engine's URL to the engine.

use std::sync::Arc;

use super::contract::Engine;
use super::memory::Memory;
use crate::config::Config;

/// Why no engine could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The URL names no engine that this program has.
    #[error("`{url}` names no engine that this program has: it has `memory:`")]
    Unknown {
        /// The URL as it was given.
        url: String,
    },
}

/// Opens the engine that the URL names, with the limits of `config`.
///
/// # Errors
///
/// [`EngineError::Unknown`] if this program has no such engine.
pub fn open(url: &str, config: &Config) -> Result<Arc<dyn Engine>, EngineError> {
    check(url)?;
    Ok(Arc::new(Memory::new(config)))
}

/// What comes before the `@` is nobody else's.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://***{}", &url[at..]),
        _ => url.to_owned(),
    }
}

/// Whether this program has the engine that the URL names.
pub(crate) fn check(url: &str) -> Result<(), EngineError> {
    match url {
        "memory:" | "memory" => Ok(()),
        _ => Err(EngineError::Unknown { url: without_password(url) }),
    }
}
