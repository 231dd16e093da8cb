//! Why the file of the durable engine cannot be opened, read or written, and what to do then.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the file cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// It cannot be opened: it, or its directory, is missing or may not be written.
    #[error("`{}` cannot be opened: {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the cure.
        reason: Unopened,
        /// What the operating system or SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is of another program, or of none.
    #[error(
        "`{}` is no store of zato: it holds something else; name another file, or move this one away",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What it holds cannot be read: it was damaged.
    #[error(
        "`{}` is damaged: stop what uses it, keep a copy with its `-wal` file, and restore a backup or write what \
         can still be read to a new file with `sqlite3 {} .recover`",
        path.display(), path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What could not be read.
        source: rusqlite::Error,
    },
    /// A newer version of zato wrote it.
    #[error(
        "`{}` has format {found}, and this program knows formats up to {known}: run it with the version of zato that \
         wrote it, or a newer one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The SQLite that is linked can lose what was committed.
    #[error(
        "SQLite {linked} is linked, which can lose what was committed when its WAL is reset: 3.51.3, 3.50.7 and \
         3.44.6 have that mended; unset `LIBSQLITE3_SYS_USE_PKG_CONFIG`, which has the one that zato brings replaced"
    )]
    Linked {
        /// The version of SQLite that is linked.
        linked: String,
    },
    /// Another process has it, or this one does already.
    #[error("`{}` belongs to {}: stop that, or name another file", path.display(), Owner(*.pid))]
    Owned {
        /// The file.
        path: PathBuf,
        /// The owner, if it has said who it is.
        pid: Option<u32>,
    },
    /// The file system cannot keep the write-ahead log that a commit needs.
    #[error(
        "`{}` is on a file system that cannot keep SQLite's write-ahead log: put it on a local disk",
        path.display()
    )]
    NoLog {
        /// The file.
        path: PathBuf,
    },
    /// There is no room on its disk.
    #[error("there is no room on the disk of `{}`: free some, and it goes on by itself", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What the operating system or SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its disk failed: what was being written may be lost, and what was committed before is not.
    #[error(
        "the disk of `{}` failed: look at it and at the system's log before the file is used again",
        path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is opened, perhaps again, and somebody reads it, so that its log cannot be settled.
    #[error(
        "`{}` cannot be used before its log was moved into it, and something else reads it: let that finish",
        path.display()
    )]
    Unsettled {
        /// The file.
        path: PathBuf,
    },
    /// The engine has been shut down.
    #[error("`{}` is closed: its engine has been shut down", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else holds it locked.
    #[error("`{}` is locked by another program, maybe by `sqlite3`: let it finish", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Something else that SQLite cannot do.
    #[error("`{}` cannot be used: {source}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

/// What keeps a file from being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Unopened {
    /// Its directory does not exist.
    NoDirectory,
    /// The file does not exist, and is only to be read.
    NoFile,
    /// This user may not write it, or make files beside it.
    Permission,
    /// It, or the file system that it stands on, is read-only.
    ReadOnly,
    /// It is a directory.
    Directory,
    /// Something else.
    Unknown,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDirectory => "its directory does not exist; make it, or name a file elsewhere",
            Self::NoFile => {
                "it does not exist; a process that runs on it makes it, as `serve`, `invoke` and `run` do: name the one \
                 that you mean, from the working directory"
            }
            Self::Permission => {
                "this user may not write it and make files beside it; change its owner or that of its directory, or \
                 name a file elsewhere"
            }
            Self::ReadOnly => "it, or what it stands on, is read-only; change that, or name a file elsewhere",
            Self::Directory => "it is a directory; name a file in it",
            Self::Unknown => "look whether the file and its directory are what they should be",
        })
    }
}

/// Who has a file, in words.
struct Owner(Option<u32>);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) if pid == std::process::id() => {
                write!(f, "another runtime of this same process, {pid}")
            }
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

impl StoreError {
    /// Whether the file is as sure as before, and what was to be written can be written later.
    pub(super) fn leaves_it_whole(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Busy { .. } | Self::Closed { .. })
    }

    /// Whether somebody seems to hold it locked. SQLite says so of a lock of its own, too, that it could not give back.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Whether it will not pass by itself.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Foreign { .. })
    }

    /// Whether it will pass when there is room again.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// What an error of SQLite says of the file at `path`.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let unreadable = matches!(
            source,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::InvalidColumnType(..)
        );
        if unreadable {
            return Self::Corrupt { path, source };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::SystemIoFailure) if path.is_dir() => {
                Self::Open { path, reason: Unopened::Directory, source: Box::new(source) }
            }
            Some(ErrorCode::NotADatabase) => Self::Foreign { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, source },
            Some(ErrorCode::DiskFull) => Self::Full { path, source: Box::new(source) },
            Some(ErrorCode::SystemIoFailure) => Self::Io { path, source: Box::new(source) },
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Busy { path, source },
            Some(ErrorCode::ReadOnly) => {
                Self::Open { path, reason: Unopened::ReadOnly, source: Box::new(source) }
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                let reason = Unopened::at(&path);
                Self::Open { path, reason, source: Box::new(source) }
            }
            _ => Self::Other { path, source },
        }
    }

    /// What an error of the operating system says of the log of the file at `path`, which was to be read and written.
    pub(super) fn of_log(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded => Self::of_io(path, source),
            _ => Self::Io { path: path.to_owned(), source: Box::new(source) },
        }
    }

    /// What an error of the operating system says of the file at `path`, which was to be opened or made.
    pub(super) fn of_io(path: &Path, source: io::Error) -> Self {
        let reason = match source.kind() {
            io::ErrorKind::NotFound if path.exists() => Unopened::Unknown,
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unopened::NoDirectory,
            io::ErrorKind::PermissionDenied => Unopened::Permission,
            io::ErrorKind::ReadOnlyFilesystem => Unopened::ReadOnly,
            io::ErrorKind::IsADirectory => Unopened::Directory,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                return Self::Full { path: path.to_owned(), source: Box::new(source) };
            }
            io::ErrorKind::Other => return Self::Io { path: path.to_owned(), source: Box::new(source) },
            _ => Unopened::Unknown,
        };
        Self::Open { path: path.to_owned(), reason, source: Box::new(source) }
    }
}

impl Unopened {
    /// What keeps the file at `path` from being opened, as far as looking at it tells.
    fn at(path: &Path) -> Self {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        match path.try_exists() {
            Ok(true) if path.is_dir() => Self::Directory,
            Ok(false) if directory.is_some_and(|directory| !directory.is_dir()) => Self::NoDirectory,
            Ok(false) => Self::NoFile,
            _ => Self::Permission,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::engine::sqlite::insert::As;
    use crate::engine::sqlite::lookups;
    use crate::engine::sqlite::samples::{Store, at, invocation, nth};
    use crate::engine::sqlite::schema;

    #[test]
    fn a_full_disk_is_told_and_left_behind() {
        let mut store = Store::new();
        let path = store.path();
        let rows = &mut store.rows;
        rows.connection().pragma_update(None, "max_page_count", 30).expect("no more than these pages");
        rows.begin().expect("it begins");
        let mut number = 0;
        let full = loop {
            number += 1;
            let accepted = rows.changing().accepted(
                number,
                &invocation(nth(number)),
                0,
                As::Started(at(1).into()),
                None,
            );
            if let Err(error) = accepted {
                break StoreError::of(&path, error);
            }
        };
        assert!(matches!(full, StoreError::Full { .. }), "{full:?}");
        assert!(full.source().is_some());
        rows.rollback().expect("nothing is left of it");
        assert_eq!(lookups::last_number(rows.connection()).expect("it can be asked"), 0);
        rows.connection().pragma_update(None, "max_page_count", 3_000).expect("there is room again");
        rows.changing().accepted(1, &invocation(nth(1)), 0, As::Waiting, None).expect("it goes on");
    }

    #[test]
    fn a_locked_file_is_told() {
        let mut store = Store::new();
        let other = schema::open_beside(&store.path()).expect("it opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("it is free");
        store.rows.connection().busy_timeout(std::time::Duration::ZERO).expect("it can be set");
        let busy = StoreError::of(&store.path(), store.rows.begin().expect_err("it is locked"));
        assert!(matches!(busy, StoreError::Busy { .. }), "{busy:?}");
        store.rows.rollback().expect("nothing has begun");
        other.execute_batch("ROLLBACK").expect("it is free again");
        store.rows.begin().expect("it begins");
    }

    #[test]
    fn a_row_that_cannot_be_read_is_damage() {
        let mut store = Store::new();
        store.rows.changing().accepted(1, &invocation(nth(1)), 0, As::Waiting, None).expect("it is accepted");
        for damage in ["root = x'00'", "channel = 77", "options = '{'", "payload = x'ff'", "slot_index = 1"] {
            let connection = store.rows.connection();
            connection.execute_batch("SAVEPOINT whole").expect("it begins");
            connection.execute(&format!("UPDATE invocation SET {damage}"), []).expect("it is damaged");
            let error = lookups::find(connection, nth(1)).expect_err("it cannot be read");
            let damaged = StoreError::of(&store.path(), error);
            assert!(matches!(damaged, StoreError::Corrupt { .. }), "{damage}: {damaged:?}");
            connection.execute_batch("ROLLBACK TO whole; RELEASE whole").expect("it is whole again");
        }
        lookups::find(store.rows.connection(), nth(1)).expect("it can be read").expect("it is held");
    }

    #[test]
    fn what_the_system_refuses_says_why() {
        let path = Path::new("zato.db");
        let text = |kind| StoreError::of_io(path, io::Error::from(kind)).to_string();
        assert!(text(io::ErrorKind::PermissionDenied).contains("this user may not write it"));
        assert!(text(io::ErrorKind::ReadOnlyFilesystem).contains("is read-only"));
        assert!(text(io::ErrorKind::StorageFull).starts_with("there is no room on the disk of `zato.db`"));
        assert!(text(io::ErrorKind::Other).starts_with("the disk of `zato.db` failed"));
    }
}
