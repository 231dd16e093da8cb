//! One process owns a file: a lock of the operating system on `PATH.lock`, which ends with its owner.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::error::StoreError;
use super::files;

/// How many bytes of a lock file are read for a process ID: more than one has digits.
const MAX_PID: u64 = 20;

/// The right to a file: nobody else can have it until this is dropped, or its process is dead.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the right to the store at `path`, which is absolute and without symbolic links, so that one file has one lock
    /// whatever name it goes by. The file beside it, `PATH.lock`, is made if there is none, is readable
    /// by this user alone, holds the owner's process ID, and stays when the owner goes: a name that comes and goes
    /// could be locked twice.
    ///
    /// # Errors
    ///
    /// [`StoreError::Owned`] if it is taken, by another process or by this one; [`StoreError::Open`],
    /// [`StoreError::Full`] or [`StoreError::Io`] if `PATH.lock` cannot be made, locked or written.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let beside = files::lock(path);
        let mut file = options.open(&beside).map_err(|error| StoreError::of_io(path, error))?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // Whoever only looks has it shared, and has gone in a moment.
                Err(TryLockError::WouldBlock) if is_free(&file) => std::thread::yield_now(),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Owned { path: path.to_owned(), pid: pid(&mut file) });
                }
                Err(TryLockError::Error(error)) => return Err(StoreError::of_io(&beside, error)),
            }
        }
        write_pid(&mut file).map_err(|error| StoreError::of_io(&beside, error))?;
        Ok(Self { file })
    }
}

/// Whether somebody has the right to the store at `path`. Where that cannot be told, nobody is said to be missing.
pub(crate) fn is_owned(path: &Path) -> bool {
    match File::open(files::lock(path)) {
        Ok(file) => !is_free(&file),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Whether nobody has the right that this file stands for; looks by sharing it for a moment.
fn is_free(file: &File) -> bool {
    let is_free = !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let _ = file.unlock();
    is_free
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A process ID that stays is read by nobody: the lock is free.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// The process that has said that it is the owner.
fn pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_PID).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_with_the_owners_pid() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        let lock = Lock::take(&path).expect("nobody has it");
        let refused = Lock::take(&path).expect_err("it is taken");
        let own = std::process::id();
        assert!(matches!(refused, StoreError::Owned { pid: Some(pid), .. } if pid == own), "{refused:?}");
        assert!(refused.to_string().contains(&own.to_string()), "{refused}");
        assert!(is_owned(&path));
        drop(lock);
        assert!(!is_owned(&path));
        Lock::take(&path).expect("it is free again");
        assert!(!is_owned(&path.with_file_name("other.db")), "nobody has what was never opened");
    }

    /// Who only looks never has an owner refused.
    #[test]
    fn a_look_is_in_nobodys_way() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        drop(Lock::take(&path).expect("nobody has it"));
        std::thread::scope(|scope| {
            let looks = scope.spawn(|| (0..20_000).filter(|_| is_owned(&path)).count());
            while !looks.is_finished() {
                drop(Lock::take(&path).expect("nobody has it"));
            }
        });
    }

    /// What another process left behind without unlocking stands in nobody's way.
    #[test]
    fn a_dead_owner_does_not_block() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        std::fs::write(path.with_added_extension("lock"), "4194304\n").expect("it can be written");
        let _lock = Lock::take(&path).expect("its owner is dead");
        let refused = Lock::take(&path).expect_err("it is taken");
        let own = std::process::id();
        assert!(matches!(refused, StoreError::Owned { pid: Some(pid), .. } if pid == own), "{refused:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_has_one_lock_by_whatever_name() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        use crate::engine::sqlite::location::locate;

        let directory = tempfile::tempdir().expect("a temporary directory");
        let (path, name) = (directory.path().join("zato.db"), directory.path().join("other.db"));
        std::fs::write(&path, "").expect("it can be written");
        symlink(&path, &name).expect("it can be linked");
        let _lock = Lock::take(&locate(&name).expect("it is there")).expect("nobody has it");
        assert!(matches!(Lock::take(&locate(&path).expect("it is there")), Err(StoreError::Owned { .. })));
        let mode =
            std::fs::metadata(path.with_added_extension("lock")).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let refused = Lock::take(&directory.path().join("no/zato.db")).expect_err("there is no directory");
        assert!(refused.to_string().contains("its directory does not exist"), "{refused}");
    }
}
