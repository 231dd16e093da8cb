//! Opens the engine that a URL names.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::contract::{Engine, ReadOnlyStore};
use super::memory::Memory;
#[cfg(feature = "sqlite")]
use super::sqlite::{OfflineStore, Sqlite, StoreError};
use crate::config::Config;

/// The error of opening an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The URL is not that of an engine of this program.
    #[error("`{url}` is not an engine of this program: {}{}", known(), Meant(url))]
    Unknown {
        /// The URL as it was given.
        url: String,
    },
    /// The URL of a file names none.
    #[error("`{url}` does not name a file: add its path, as in `sqlite:zato.db`")]
    NoPath {
        /// The URL as it was given.
        url: String,
    },
    /// The URL of a file has a parameter that this engine does not know.
    #[error(
        "`{url}` has the parameter `{parameter}`, but `sqlite:PATH` takes no parameters: remove it; a missing file is created"
    )]
    Parameter {
        /// The URL as it was given.
        url: String,
        /// The first parameter that is not known.
        parameter: String,
    },
    /// The URL asks SQLite for a database in memory.
    #[error(
        "`{url}` is an in-memory SQLite database, which would keep nothing: use `memory:`, or name a file, as in `sqlite:zato.db`"
    )]
    InMemory {
        /// The URL as it was given.
        url: String,
    },
    /// The URL of a file has another URL inside.
    #[error("`{url}` has a `file:` URL in place of a path: write `sqlite:{path}`")]
    FileUrl {
        /// The URL as it was given.
        url: String,
        /// The path inside.
        path: String,
    },
    /// Another process has the file, or another runtime of this one.
    #[error("{text}")]
    Owned {
        /// The file.
        path: PathBuf,
        /// The process ID of the owner, if it has said so.
        pid: Option<u32>,
        /// The text, with the cure.
        text: String,
    },
    /// The file cannot be opened.
    #[error(transparent)]
    Store(Box<dyn std::error::Error + Send + Sync>),
    /// The engine keeps nothing that another process could read.
    #[error("`{url}` keeps nothing that another process could read: use `sqlite:PATH`")]
    Alone {
        /// The URL as it was given.
        url: String,
    },
    /// The engine was opened outside a tokio runtime.
    #[error("an engine with a file needs tokio: open it inside a tokio runtime")]
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

/// A guess at the URL that was meant, where a path was given alone, or with another program's scheme.
struct Meant<'a>(&'a str);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_others = ["file://", "file:", "sqlite3://", "sqlite3:"];
        match self.0 {
            ":memory:" => write!(f, "; `memory:` keeps nothing"),
            "" => Ok(()),
            url => match of_others.iter().find_map(|scheme| url.strip_prefix(scheme)) {
                Some(path) => write!(f, "; to name a file, write `sqlite:{path}`"),
                None if url.contains(':') => Ok(()),
                None => write!(f, "; to name a file, write `sqlite:{url}`"),
            },
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
/// the operating system takes it, without percent-decoding. A relative path begins in the working directory of this moment,
/// and the engine stays with that file when the process changes its directory. `sqlite://relative.db`,
/// `sqlite:///absolute.db` and a `?mode=rwc`, as `sqlx` writes them, name the same.
///
/// # The files of `sqlite:PATH`
///
/// The store is `PATH`, with `PATH-wal` (the write-ahead log) and `PATH-shm` (the index of the log) beside it while a
/// process uses it, and `PATH.lock`, which stays. What was acknowledged may be in the log alone.
///
/// - Other programs may read the store with SQLite, for example `sqlite3 PATH`, and may back it up with `.backup` or
///   `VACUUM INTO`. They must not write to it. A program that reads for long keeps the log from being emptied.
/// - A process may read the files of its own store, also as bytes, and close them again. On Linux that is safe; elsewhere it
///   gives up the locks of SQLite, so leave the files alone there.
/// - A copy of `PATH` without `PATH-wal` is not a backup. Copy all files of a store together, and only while no process uses it.
/// - While a process uses the store, do not remove, rename or replace any of its files, and do not give it a second hard link.
///   The engine looks for that after each commit: it acknowledges nothing then, and the error names the cure. The contents of
///   a log that was removed are moved into the store, and the engine goes on.
/// - After a process was killed, keep `PATH` and `PATH-wal` together. A log that was damaged is refused at the next start. It
///   cannot be known whether a log that is missing held anything, or whether the last transaction of a log was damaged or
///   never finished.
/// - The file system must be trusted: the log has checksums, the rows of the store have none. Where a disk may return other
///   bytes than were written, use a file system with checksums. Network file systems are not supported.
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
pub fn open_read_only(url: &str) -> Result<Arc<dyn ReadOnlyStore>, EngineError> {
    match named(url)? {
        Named::Memory => Err(EngineError::Alone { url: url.to_owned() }),
        #[cfg(feature = "sqlite")]
        Named::Sqlite(path) => Ok(Arc::new(OfflineStore::open(&path)?)),
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
    if let Some(file) = url.strip_prefix("sqlite:") {
        return path(url, file).map(Named::Sqlite);
    }
    Err(EngineError::Unknown { url: without_password(url) })
}

/// The path in the URL of a file, which follows the scheme: `PATH`, `//PATH` (so three slashes begin an absolute path), with
/// `?mode=rwc` or without.
#[cfg(feature = "sqlite")]
fn path(url: &str, file: &str) -> Result<PathBuf, EngineError> {
    let url = || url.to_owned();
    let (path, parameters) = file.split_once('?').unwrap_or((file, ""));
    let path = path.strip_prefix("//").unwrap_or(path);
    if matches!(path, ":memory:" | "file::memory:") {
        return Err(EngineError::InMemory { url: url() });
    }
    let mut parameters = parameters.split('&').filter(|parameter| !matches!(*parameter, "" | "mode=rwc"));
    match parameters.next() {
        Some("mode=memory") => return Err(EngineError::InMemory { url: url() }),
        Some(parameter) => {
            return Err(EngineError::Parameter { url: url(), parameter: parameter.to_owned() });
        }
        None => {}
    }
    match path {
        "" => Err(EngineError::NoPath { url: url() }),
        // SQLAlchemy writes an absolute path with four slashes.
        path if path.starts_with("//") => Ok(PathBuf::from(format!("/{}", path.trim_start_matches('/')))),
        path => match path.strip_prefix("file:") {
            Some(inside) => {
                let inside = inside.strip_prefix("//").unwrap_or(inside).to_owned();
                Err(EngineError::FileUrl { url: url(), path: inside })
            }
            None => Ok(PathBuf::from(path)),
        },
    }
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

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    fn path(url: &str) -> PathBuf {
        match named(url) {
            Ok(Named::Sqlite(path)) => path,
            Ok(Named::Memory) => panic!("{url} is in memory"),
            Err(error) => panic!("{error}"),
        }
    }

    fn refused(url: &str) -> EngineError {
        named(url).err().unwrap_or_else(|| panic!("{url} is not refused"))
    }

    #[test]
    fn a_path_is_taken_as_sqlx_and_sqlalchemy_write_it() {
        for (url, expected) in [
            ("sqlite:zato.db", "zato.db"),
            ("sqlite:./a/zato.db", "./a/zato.db"),
            ("sqlite:/var/lib/zato.db", "/var/lib/zato.db"),
            ("sqlite://zato.db", "zato.db"),
            ("sqlite://a/zato.db", "a/zato.db"),
            ("sqlite:///var/lib/zato.db", "/var/lib/zato.db"),
            ("sqlite:////var/lib/zato.db", "/var/lib/zato.db"),
            ("sqlite://zato.db?mode=rwc", "zato.db"),
            ("sqlite:zato.db?", "zato.db"),
            ("sqlite:a%20b.db", "a%20b.db"),
        ] {
            assert_eq!(path(url), PathBuf::from(expected), "{url}");
        }
    }

    #[test]
    fn a_url_that_names_no_file_says_what_to_write() {
        for url in ["sqlite:", "sqlite://", "sqlite:?mode=rwc"] {
            assert!(matches!(refused(url), EngineError::NoPath { .. }), "{url}");
        }
        for url in [
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite:file::memory:?cache=shared",
            "sqlite:a?mode=memory",
        ] {
            let error = refused(url);
            assert!(matches!(error, EngineError::InMemory { .. }), "{url}: {error:?}");
            assert!(error.to_string().contains("use `memory:`"), "{error}");
        }
        for (url, named) in
            [("sqlite:a.db?mode=ro", "mode=ro"), ("sqlite://a.db?mode=rwc&cache=shared", "cache=shared")]
        {
            assert!(
                matches!(refused(url), EngineError::Parameter { parameter, .. } if parameter == named),
                "{url}"
            );
        }
        for url in ["sqlite:file:a.db", "sqlite:file://a.db"] {
            assert!(refused(url).to_string().contains("write `sqlite:a.db`"), "{url}");
        }
        for (url, cure) in [
            ("zato.db", "`sqlite:zato.db`"),
            ("file:a.db", "`sqlite:a.db`"),
            (":memory:", "`memory:` keeps nothing"),
        ] {
            assert!(refused(url).to_string().contains(cure), "{url}: {}", refused(url));
        }
    }
}
