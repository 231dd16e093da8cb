//! What SQLite and the operating system said of a failure. SQLite keeps the operating system's error to itself, so the
//! same things are tried once more, without changing anything and without opening the file.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use rusqlite::ffi;

use super::paths;

/// The room that SQLite asks for when it makes the index of a log.
const LEAST_ROOM: u64 = 32 << 10;

/// What was said of a failure.
#[derive(Debug)]
pub(crate) struct Said {
    sqlite: Option<rusqlite::Error>,
    system: Option<io::Error>,
}

impl Said {
    /// What SQLite said, with what the operating system says of the file at `path` now.
    pub(in crate::engine::sqlite) fn of_sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let system = tried(path).err();
        Self { sqlite: Some(error), system }
    }

    /// What SQLite said, which is all that there is to say.
    pub(in crate::engine::sqlite) fn by_sqlite(error: rusqlite::Error) -> Self {
        Self { sqlite: Some(error), system: None }
    }

    /// What the operating system said.
    pub(in crate::engine::sqlite) fn by_system(error: io::Error) -> Self {
        Self { sqlite: None, system: Some(error) }
    }

    /// What the operating system said.
    pub(in crate::engine::sqlite) fn system(&self) -> Option<&io::Error> {
        self.system.as_ref()
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.system {
            write!(f, "the system says: {error}")?;
        }
        if let Some(error) = &self.sqlite {
            let separator = if self.system.is_some() { "; " } else { "" };
            write!(f, "{separator}SQLite says: {error}")?;
            if let Some(doing) = error.sqlite_error().and_then(|error| doing(error.extended_code)) {
                write!(f, ", {doing}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Said {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let sqlite = self.sqlite.as_ref().map(|error| error as _);
        sqlite.or(self.system.as_ref().map(|error| error as _))
    }
}

/// What SQLite was doing when the disk failed, which its message leaves out.
fn doing(extended_code: i32) -> Option<&'static str> {
    Some(match extended_code {
        ffi::SQLITE_IOERR_READ => "reading",
        ffi::SQLITE_IOERR_SHORT_READ => "reading past the end",
        ffi::SQLITE_IOERR_WRITE => "writing",
        ffi::SQLITE_IOERR_FSYNC => "syncing",
        ffi::SQLITE_IOERR_DIR_FSYNC => "syncing the directory",
        ffi::SQLITE_IOERR_TRUNCATE => "truncating",
        ffi::SQLITE_IOERR_FSTAT => "asking for the size",
        ffi::SQLITE_IOERR_ACCESS => "asking whether a file exists",
        ffi::SQLITE_IOERR_DELETE | ffi::SQLITE_IOERR_DELETE_NOENT => "deleting",
        ffi::SQLITE_IOERR_CLOSE | ffi::SQLITE_IOERR_DIR_CLOSE => "closing",
        ffi::SQLITE_IOERR_LOCK | ffi::SQLITE_IOERR_RDLOCK | ffi::SQLITE_IOERR_CHECKRESERVEDLOCK => "locking",
        ffi::SQLITE_IOERR_UNLOCK => "unlocking",
        ffi::SQLITE_IOERR_SHMOPEN => "opening the index of the log",
        ffi::SQLITE_IOERR_SHMSIZE => "making room for the index of the log",
        ffi::SQLITE_IOERR_SHMMAP => "mapping the index of the log",
        ffi::SQLITE_IOERR_SHMLOCK => "locking the index of the log",
        ffi::SQLITE_CANTOPEN_ISDIR => "since it is a directory",
        _ => return None,
    })
}

/// Whether the file system of the store at `path` has no room left.
pub(in crate::engine::sqlite) fn is_full(path: &Path) -> bool {
    free(paths::directory(path)).is_some_and(|free| free < LEAST_ROOM)
}

/// Asks for what the engine asks of the file at `path`, of those beside it, and of its directory. Does not open the file:
/// to close it again would give up the locks that SQLite has on it in this process.
fn tried(path: &Path) -> io::Result<()> {
    let directory = paths::directory(path);
    // Where no file can be opened, no directory can be either.
    fs::File::open(directory)?;
    fs::metadata(path)?;
    for file in [path, &paths::log(path), &paths::index(path)] {
        match may_write(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            tried => tried?,
        }
    }
    may_write(directory)?;
    if is_full(path) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

#[cfg(unix)]
fn may_write(path: &Path) -> io::Result<()> {
    use nix::unistd::{AccessFlags, access};

    Ok(access(path, AccessFlags::R_OK | AccessFlags::W_OK)?)
}

#[cfg(not(unix))]
fn may_write(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// How many bytes are free for this user.
#[cfg(unix)]
#[allow(clippy::useless_conversion, reason = "the numbers have fewer bits on other systems")]
pub(in crate::engine::sqlite) fn free(directory: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(directory).ok()?;
    Some(u64::from(stat.blocks_available()).saturating_mul(u64::from(stat.fragment_size())))
}

#[cfg(not(unix))]
pub(in crate::engine::sqlite) fn free(_directory: &Path) -> Option<u64> {
    None
}
