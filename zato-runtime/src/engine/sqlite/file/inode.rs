//! A file as the operating system knows it, whatever name leads to it, and locks on it that outlive other descriptors.
//!
//! SQLite's own locks on Linux are POSIX locks, which a process gives up as soon as it closes any descriptor of the file, a
//! backup's for example. Another program that closes the store then takes itself for the last that has it open, and removes
//! its log. The locks of this room are on the same bytes, of the kind that belongs to one descriptor (`F_OFD_SETLK`): the
//! other program sees that somebody has the store open, whatever this process opens and closes. Elsewhere there are no such
//! locks, and none is taken.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// The device and the number of a file. They stay the same as long as it is open or has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::sqlite) struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    #[cfg(unix)]
    pub(in crate::engine::sqlite) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;

        Self { device: metadata.dev(), number: metadata.ino() }
    }

    #[cfg(not(unix))]
    pub(in crate::engine::sqlite) fn of(_metadata: &Metadata) -> Self {
        Self { device: 0, number: 0 }
    }

    /// The file that the name leads to; none where there is no such name.
    pub(in crate::engine::sqlite) fn at(path: &Path) -> io::Result<Option<Self>> {
        Ok(found(path)?.map(|metadata| Self::of(&metadata)))
    }
}

/// What is known of the file that the name leads to; none where there is no such name.
pub(in crate::engine::sqlite) fn found(path: &Path) -> io::Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// How many names the file has.
#[cfg(unix)]
pub(in crate::engine::sqlite) fn links(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
pub(in crate::engine::sqlite) fn links(_metadata: &Metadata) -> u64 {
    1
}

/// A part of a file that a lock is on. No byte need be there.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::sqlite) struct Part {
    start: i32,
    length: i32,
}

impl Part {
    /// In the store: held alone by the process that runs on it. SQLite knows nothing of this byte.
    pub(in crate::engine::sqlite) const OWNER: Self = Self { start: 0x4000_1000, length: 1 };
    /// In the store: what every connection of SQLite shares as long as it is open.
    pub(in crate::engine::sqlite) const OPEN: Self = Self { start: 0x4000_0002, length: 510 };
    /// In the index of its log: the same there.
    pub(in crate::engine::sqlite) const INDEX: Self = Self { start: 128, length: 1 };
}

/// How a part is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::sqlite) enum Mode {
    Alone,
    Shared,
    Free,
}

/// Locks a part of the file, or gives it back. Answers whether nobody else is in the way.
#[cfg(target_os = "linux")]
pub(in crate::engine::sqlite) fn lock(file: &File, part: Part, mode: Mode) -> io::Result<bool> {
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    let mode = match mode {
        Mode::Alone => libc::F_WRLCK,
        Mode::Shared => libc::F_RDLCK,
        Mode::Free => libc::F_UNLCK,
    };
    #[expect(clippy::cast_possible_truncation, reason = "they are small constants")]
    let range = libc::flock {
        l_type: mode as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: part.start.into(),
        l_len: part.length.into(),
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&range)) {
        // A file system without such locks has the names alone.
        Ok(_) | Err(Errno::EINVAL | Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(in crate::engine::sqlite) fn lock(_file: &File, _part: Part, _mode: Mode) -> io::Result<bool> {
    Ok(true)
}
