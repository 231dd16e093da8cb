//! From an engine's URL to the engine.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::contract::{Beside, Engine};
use super::memory::Memory;
#[cfg(feature = "sqlite")]
use super::sqlite::{Reads, Sqlite, StoreError};
use crate::config::Config;

/// Why no engine could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The URL names no engine that this program has.
    #[error("`{url}` names no engine that this program has: {}{}", known(), Meant(url))]
    Unknown {
        /// The URL as it was given.
        url: String,
    },
    /// The URL of a file names none.
    #[error("`{url}` names no file: say which, as in `sqlite:zato.db`")]
    NoPath {
        /// The URL as it was given.
        url: String,
    },
    /// A path that begins with two slashes, as that of a server's URL does.
    #[error(
        "`{url}` is no path: write `sqlite:zato.db`, from the working directory, or `sqlite:/var/lib/zato.db`"
    )]
    Slashes {
        /// The URL as it was given.
        url: String,
    },
    /// Another process has the file, or another runtime of this one.
    #[error("{text}")]
    Owned {
        /// The file.
        path: PathBuf,
        /// The process ID of the owner, if it has said so.
        pid: Option<u32>,
        /// All of it, with the cure.
        text: String,
    },
    /// The file cannot be opened.
    #[error(transparent)]
    Store(Box<dyn std::error::Error + Send + Sync>),
    /// There is nothing that another process could look at.
    #[error("`{url}` keeps nothing: there is nothing to look at from outside the process that holds it")]
    Alone {
        /// The URL as it was given.
        url: String,
    },
    /// The engine was to be opened where there is no tokio.
    #[error("an engine that keeps a file needs tokio: open it inside of a tokio runtime")]
    NoTokio,
}

/// The engines that this program has.
fn known() -> &'static str {
    if cfg!(feature = "sqlite") {
        "it has `memory:` and `sqlite:PATH`"
    } else {
        "it has `memory:`, and `sqlite:PATH` with the feature `sqlite` of `zato-runtime`"
    }
}

/// What somebody has meant who gave a path alone.
struct Meant<'a>(&'a str);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            path if path.is_empty() || path.contains(':') => Ok(()),
            path => write!(f, "; a file is named as in `sqlite:{path}`"),
        }
    }
}

/// What a URL names.
enum Named {
    Memory,
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
}

/// Opens the engine that the URL names, with the limits of `config`: `memory:`, or `sqlite:PATH`, where the path is as
/// the operating system takes it, from the working directory.
///
/// # Errors
///
/// [`EngineError::Unknown`] if this program has no such engine; [`EngineError::Owned`] or [`EngineError::Store`] if the
/// file cannot be opened.
pub fn open(url: &str, config: &Config) -> Result<Arc<dyn Engine>, EngineError> {
    match named(url)? {
        Named::Memory => Ok(Arc::new(Memory::new(config))),
        #[cfg(feature = "sqlite")]
        Named::Sqlite(path) => {
            let tokio = tokio::runtime::Handle::try_current().map_err(|_| EngineError::NoTokio)?;
            Ok(Arc::new(Sqlite::open(&path, config, tokio)?))
        }
    }
}

/// Opens what the URL names to look at it, beside the process that runs it or without one. Must be asked for inside of
/// a tokio runtime, takes no right to it and changes nothing.
///
/// # Errors
///
/// As for [`open`], but never [`EngineError::Owned`]; [`EngineError::Alone`] for `memory:`.
pub fn open_beside(url: &str) -> Result<Arc<dyn Beside>, EngineError> {
    match named(url)? {
        Named::Memory => Err(EngineError::Alone { url: url.to_owned() }),
        #[cfg(feature = "sqlite")]
        Named::Sqlite(path) => Ok(Arc::new(Reads::open(&path)?)),
    }
}

/// Whether this program has the engine that the URL names.
pub(crate) fn check(url: &str) -> Result<(), EngineError> {
    named(url).map(drop)
}

/// Whether what the URL names is still held when its process has ended.
#[cfg(feature = "cli")]
pub(crate) fn keeps(url: &str) -> bool {
    !matches!(named(url), Ok(Named::Memory))
}

fn named(url: &str) -> Result<Named, EngineError> {
    if matches!(url, "memory:" | "memory") {
        return Ok(Named::Memory);
    }
    #[cfg(feature = "sqlite")]
    if let Some(path) = url.strip_prefix("sqlite:") {
        return match path {
            "" => Err(EngineError::NoPath { url: url.to_owned() }),
            path if path.starts_with("//") => Err(EngineError::Slashes { url: url.to_owned() }),
            path => Ok(Named::Sqlite(PathBuf::from(path))),
        };
    }
    Err(EngineError::Unknown { url: without_password(url) })
}

#[cfg(feature = "sqlite")]
impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Owned { path, pid } => {
                Self::Owned { path: path.clone(), pid: *pid, text: error.to_string() }
            }
            _ => Self::Store(Box::new(error)),
        }
    }
}

/// What comes before the `@` is nobody else's.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://***{}", &url[at..]),
        _ => url.to_owned(),
    }
}
