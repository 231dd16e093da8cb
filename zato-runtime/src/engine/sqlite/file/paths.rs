//! The paths of a store: its directory, and the files beside it.

use std::path::{Path, PathBuf};

/// The smallest page of SQLite, in bytes: a shorter file is not a store.
pub(in crate::engine::sqlite) const LEAST_PAGE: u64 = 512;

/// The directory of a file, as it is to be opened.
pub(in crate::engine::sqlite) fn directory(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The write-ahead log of the store at `path`.
pub(in crate::engine::sqlite) fn log(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// The index of its log, which the processes that have it open share.
pub(in crate::engine::sqlite) fn index(path: &Path) -> PathBuf {
    beside(path, "-shm")
}

/// The file whose lock says who owns it.
pub(in crate::engine::sqlite) fn lock(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// The notes of which handlers have begun.
pub(in crate::engine::sqlite) fn begun(path: &Path) -> PathBuf {
    beside(path, ".begun")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
