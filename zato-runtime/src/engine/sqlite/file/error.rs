//! The errors of a store: why its file cannot be opened, read or written, and the cure. Each ends with what SQLite and the
//! operating system said.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

use super::cause;
use super::cause::Said;
use super::displaced::Displaced;
use super::inode::Inode;
use super::open_error::Unopened;
use super::paths;
use super::wal::Damage;

/// Why the file cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// It cannot be opened: it, or its directory, is missing or may not be written.
    #[error("`{}` cannot be opened: {reason} ({source})", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the cure.
        reason: Unopened,
        /// What SQLite and the operating system said.
        source: Said,
    },
    /// It is of another program, or of none.
    #[error(
        "`{}` is not a store of zato: it has other content; name another file, or move this one away",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What it holds cannot be read. SQLite says the same where the disk could not read it.
    #[error(
        "`{}` is damaged, or its disk cannot read it: check the system's log; if the disk is sound, stop what uses the \
         file, keep a copy with its `-wal` file, and restore a backup or write what can still be read to a new file with \
         `sqlite3 {} .recover` ({source})",
        path.display(), path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What could not be read.
        source: Said,
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
        "SQLite {linked} is linked, which can lose committed data when its WAL is reset: use 3.51.3, 3.50.7 or 3.44.6, \
         or unset `LIBSQLITE3_SYS_USE_PKG_CONFIG` to link the SQLite that zato contains"
    )]
    Linked {
        /// The version of SQLite that is linked.
        linked: String,
    },
    /// Another process has it, or this one does already.
    #[error("`{}` belongs to {}: stop it, or name another file", path.display(), Owner(*.pid))]
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
    #[error("no space is left on the disk of `{}`: free some, and the bus continues by itself ({source})", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What SQLite and the operating system said.
        source: Said,
    },
    /// Its disk failed: what was being written may be lost, and what was committed before is not.
    #[error(
        "the disk of `{}` failed: check it and the system's log before the file is used again ({source})",
        path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: Said,
    },
    /// It is opened, perhaps again, and somebody reads it, so that its log cannot be settled.
    #[error(
        "`{}` cannot be used until its write-ahead log has been moved into it, which another reader prevents: let that finish",
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
    /// The engine needs a thread that the system does not give.
    #[error(
        "the thread `{name}` for `{}` could not be started: {source}; allow this user or this container more processes \
         and threads (`ulimit -u`, `pids.max`), or free memory",
        path.display()
    )]
    NoThread {
        /// The file.
        path: PathBuf,
        /// The name of the thread.
        name: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Something panicked while it read or wrote the file. It is a fault of this program, or of a subscriber to its log.
    #[error("the engine of `{}` panicked: {panic}; report this with the log", path.display())]
    Panicked {
        /// The file.
        path: PathBuf,
        /// The message of the panic.
        panic: String,
    },
    /// Another program holds a lock on it.
    #[error("`{}` is locked by another program, maybe by `sqlite3`: let it finish ({source})", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Said,
    },
    /// Its files were taken away or replaced while they were open.
    #[error("nothing is recorded in `{}`, and nothing is acknowledged: {what}", path.display())]
    Displaced {
        /// The file.
        path: PathBuf,
        /// What happened, and the cure.
        what: Displaced,
    },
    /// Its log was taken away while it was open. What it holds is still there, for this process alone.
    #[error(
        "the log of `{}`, its `-wal` or `-shm` file, was removed while it was in use: leave both alone as long as a process \
         uses the file; {}",
        path.display(),
        if *is_moved { "what they held was moved into the file" } else { "what they hold is moved into the file" }
    )]
    LogGone {
        /// The file.
        path: PathBuf,
        /// Whether all that was acknowledged is in the file.
        is_moved: bool,
    },
    /// The store has fewer transactions than were acknowledged.
    #[error(
        "`{}` lacks {} that were acknowledged: its `-wal` file was removed, emptied or cut off after its process had died, or \
         an older copy of the store was put in its place; put the missing file back, or remove `{}.lock` to continue \
         without those transactions",
        path.display(), crate::base::format::count(usize::try_from(*transactions).unwrap_or(usize::MAX), "transaction"), path.display()
    )]
    Lacking {
        /// The file.
        path: PathBuf,
        /// How many transactions are missing.
        transactions: u64,
    },
    /// What a process that died has left in its log was damaged since.
    #[error(
        "the log of `{}` is damaged: its {}, and SQLite would drop what was acknowledged in the {} whole frames after it; \
         restore a backup, or continue without those: keep a copy of `{}-wal`, then cut it off with `truncate -s {} {}-wal && rm {}.lock`",
        path.display(), Frame(damage.frame), damage.lost, path.display(), damage.sound, path.display(), path.display()
    )]
    DamagedLog {
        /// The file.
        path: PathBuf,
        /// Where, and what is lost with it.
        damage: Damage,
    },
    /// Something else that SQLite cannot do.
    #[error("`{}` cannot be used ({source})", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Said,
    },
}

/// The owner of a file, in words.
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

/// The part of a log that is damaged, in words.
struct Frame(u64);

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("header cannot be read"),
            frame => write!(f, "frame {frame} cannot be read"),
        }
    }
}

impl StoreError {
    /// Whether the file is as sure as before, and what was to be written can be written later.
    pub(in crate::engine::sqlite) fn leaves_it_whole(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::Busy { .. }
                | Self::Closed { .. }
                | Self::Displaced { .. }
                | Self::LogGone { .. }
        )
    }

    /// Whether somebody seems to hold it locked. SQLite says so of a lock of its own, too, that it could not give back.
    pub(in crate::engine::sqlite) fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Whether every connection is to be closed, and opened anew.
    pub(in crate::engine::sqlite) fn is_to_be_reopened(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::LogGone { is_moved: true, .. })
    }

    /// Whether it will pass when another program has let go of the file, or of what it reads there.
    pub(in crate::engine::sqlite) fn is_of_others(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unsettled { .. })
    }

    /// Whether it will not pass by itself.
    pub(in crate::engine::sqlite) fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. } | Self::Foreign { .. } | Self::Displaced { what: Displaced::Deleted, .. }
        )
    }

    /// Whether it will pass when there is room again.
    pub(in crate::engine::sqlite) fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the path still leads to this file, if it is known which one it is to lead to.
    ///
    /// # Errors
    ///
    /// [`StoreError::Displaced`] if it does not.
    pub(in crate::engine::sqlite) fn check_displaced(path: &Path, inode: Option<Inode>) -> Result<(), Self> {
        let displaced = inode.map(|inode| Displaced::from(path, inode)).transpose();
        match displaced.map_err(|error| Self::of_io(path, error))?.flatten() {
            Some(what) => Err(Self::Displaced { path: path.to_owned(), what }),
            None => Ok(()),
        }
    }

    /// The error for the file at `path` that cannot be opened for this reason, as the operating system said.
    pub(in crate::engine::sqlite) fn unopened(path: &Path, reason: Unopened, source: io::Error) -> Self {
        Self::Open { path: path.to_owned(), reason, source: Said::by_system(source) }
    }

    /// The error for what SQLite says of the file at `path`.
    pub(in crate::engine::sqlite) fn of(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let unreadable = matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::InvalidColumnType(..)
        );
        if unreadable {
            return Self::Corrupt { path, source: Said::by_sqlite(error) };
        }
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign { path },
            Some(ErrorCode::DatabaseCorrupt) => {
                let source = Said::of_sqlite(&path, error);
                Self::Corrupt { path, source }
            }
            Some(ErrorCode::DiskFull) => Self::Full { path, source: Said::by_sqlite(error) },
            // The index of a log is made when a connection is opened: nothing was written before it.
            Some(ErrorCode::SystemIoFailure)
                if extended == Some(ffi::SQLITE_IOERR_SHMSIZE) && cause::is_full(&path) =>
            {
                let source = Said::of_sqlite(&path, error);
                Self::Full { path, source }
            }
            Some(ErrorCode::SystemIoFailure) => {
                let source = Said::of_sqlite(&path, error);
                Self::Io { path, source }
            }
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Busy { path, source: Said::by_sqlite(error) },
            Some(ErrorCode::ReadOnly) => {
                let source = Said::of_sqlite(&path, error);
                let reason = match source.system().map(io::Error::kind) {
                    Some(io::ErrorKind::PermissionDenied) => Unopened::Permission,
                    _ => Unopened::ReadOnly,
                };
                Self::Open { path, reason, source }
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                let source = Said::of_sqlite(&path, error);
                let reason = match source.system() {
                    _ if path.is_dir() => Unopened::Directory,
                    // SQLite makes no file here.
                    Some(error) => match reason(&path, error) {
                        Unopened::NoFiles => Unopened::NoFile,
                        reason => reason,
                    },
                    None => Unopened::Unknown,
                };
                Self::Open { path, reason, source }
            }
            _ => Self::Other { path, source: Said::by_sqlite(error) },
        }
    }

    /// The error for what the operating system says of the log of the file at `path`, which was to be read and written.
    pub(in crate::engine::sqlite) fn of_log(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded => Self::of_io(path, error),
            _ if is_out_of_descriptors(&error) => Self::of_io(path, error),
            _ => Self::Io { path: path.to_owned(), source: Said::by_system(error) },
        }
    }

    /// The error for what the operating system says of the file at `path`, or of one beside it, which was to be opened or
    /// made.
    pub(in crate::engine::sqlite) fn of_io(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path: path.to_owned(), source: Said::by_system(error) }
            }
            _ if is_of_disk(&error) => Self::Io { path: path.to_owned(), source: Said::by_system(error) },
            _ => Self::unopened(path, reason(path, &error), error),
        }
    }
}

/// The reason for which the file at `path` cannot be opened, after what the operating system said.
fn reason(path: &Path, error: &io::Error) -> Unopened {
    match error.kind() {
        io::ErrorKind::NotFound if path.exists() => Unopened::Unknown,
        io::ErrorKind::NotFound if paths::directory(path).is_dir() => Unopened::NoFiles,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unopened::NoDirectory,
        io::ErrorKind::PermissionDenied => Unopened::Permission,
        io::ErrorKind::ReadOnlyFilesystem => Unopened::ReadOnly,
        io::ErrorKind::IsADirectory => Unopened::Directory,
        _ if is_out_of_descriptors(error) => Unopened::Descriptors,
        _ => Unopened::Unknown,
    }
}

/// Whether no more files can be opened, by this process or by any.
#[cfg(unix)]
fn is_out_of_descriptors(error: &io::Error) -> bool {
    use nix::errno::Errno;

    error
        .raw_os_error()
        .map(Errno::from_raw)
        .is_some_and(|error| matches!(error, Errno::EMFILE | Errno::ENFILE))
}

#[cfg(not(unix))]
fn is_out_of_descriptors(_error: &io::Error) -> bool {
    false
}

/// Whether the disk has failed.
#[cfg(unix)]
fn is_of_disk(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other || error.raw_os_error() == Some(nix::errno::Errno::EIO as i32)
}

#[cfg(not(unix))]
fn is_of_disk(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::engine::sqlite::file::connect;
    use crate::engine::sqlite::read::queries;
    use crate::engine::sqlite::rows::insert::As;
    use crate::engine::sqlite::test_data::{Store, at, invocation, nth};

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
        assert_eq!(queries::last_number(rows.connection()).expect("it can be asked"), 0);
        rows.connection().pragma_update(None, "max_page_count", 3_000).expect("there is room again");
        rows.changing().accepted(1, &invocation(nth(1)), 0, As::Waiting, None).expect("it goes on");
    }

    #[test]
    fn a_locked_file_is_told() {
        let mut store = Store::new();
        let other = connect::open_read_only(&store.path()).expect("it opens");
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
            let error = queries::find(connection, nth(1)).expect_err("it cannot be read");
            let damaged = StoreError::of(&store.path(), error);
            assert!(matches!(damaged, StoreError::Corrupt { .. }), "{damage}: {damaged:?}");
            connection.execute_batch("ROLLBACK TO whole; RELEASE whole").expect("it is whole again");
        }
        queries::find(store.rows.connection(), nth(1)).expect("it can be read").expect("it is held");
    }

    #[test]
    fn what_the_system_refuses_says_why_and_ends_with_its_words() {
        use nix::errno::Errno;

        let path = Path::new("/proc/x.db");
        let text = |error: Errno| {
            let system = io::Error::from(error);
            let text = StoreError::of_io(path, io::Error::from(error)).to_string();
            assert!(text.ends_with(&format!("(the system says: {system})")), "{text}");
            text
        };
        assert!(text(Errno::EACCES).contains("this user may not write it"));
        assert!(text(Errno::EROFS).contains("is read-only"));
        assert!(text(Errno::ENOSPC).starts_with("no space is left on the disk of `/proc/x.db`"));
        assert!(text(Errno::EDQUOT).starts_with("no space is left on the disk of `/proc/x.db`"));
        assert!(text(Errno::EIO).starts_with("the disk of `/proc/x.db` failed"));
        assert!(text(Errno::ENOENT).contains("no file can be made in its directory"));
        for error in [Errno::EMFILE, Errno::ENFILE] {
            assert!(text(error).contains("too many files are open"));
        }
        for error in [Errno::EMFILE, Errno::EIO] {
            let text = StoreError::of_log(path, io::Error::from(error)).to_string();
            assert!(text.contains(&io::Error::from(error).to_string()), "{text}");
        }
        let other = StoreError::of_io(path, io::Error::other("no more"));
        assert!(matches!(other, StoreError::Io { .. }), "{other:?}");
    }

    #[test]
    fn what_sqlite_says_is_told_with_what_it_did() {
        let path = Path::new("zato.db");
        let failed = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        for (code, doing) in [(ffi::SQLITE_IOERR_FSYNC, "syncing"), (ffi::SQLITE_IOERR_READ, "reading")] {
            let text = StoreError::of(path, failed(code)).to_string();
            assert!(text.starts_with("the disk of `zato.db` failed"), "{text}");
            assert!(text.ends_with(&format!("{doing})")), "{text}");
        }
        let text = StoreError::of(path, failed(ffi::SQLITE_CORRUPT)).to_string();
        assert!(text.contains("is damaged, or its disk cannot read it"), "{text}");
        assert!(text.contains("database disk image is malformed"), "{text}");
    }

    /// What SQLite keeps to itself is found out by trying the same.
    #[test]
    fn the_systems_words_are_found_where_sqlite_has_none() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("no/zato.db");
        let failed = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), None);
        let error = StoreError::of(&path, failed);
        assert!(matches!(error, StoreError::Open { reason: Unopened::NoDirectory, .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("No such file or directory (os error 2)"), "{text}");
    }
}
