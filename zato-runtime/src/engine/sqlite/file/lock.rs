//! One process owns a file: a lock of the operating system on `PATH.lock`, which ends with its owner.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::inode::Inode;
use super::paths;

/// How many bytes of a lock file are read: a process ID has fewer, and so has the mark.
const MOST: u64 = 64;

/// The length of the third line of a lock file, which has the same length for every number so that it can be overwritten.
const WRITTEN_LEN: usize = "00000000000000000000\n".len();

/// The second line of a lock file, once there has been a store beside it.
const MADE: &str = "store";

/// The right to a file: nobody else can have it until this is dropped, or its process is dead.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    name: PathBuf,
    /// Whether there has been a store beside it.
    was_made: bool,
    /// The number of transactions that have been committed in that store; 0 if a start need not compare it.
    written: u64,
    /// The offset of that number in the file.
    written_at: u64,
}

impl Lock {
    /// Takes the right to the store at `path`, which is absolute and without symbolic links, so that one file has one lock
    /// whatever name it goes by. The file beside it, `PATH.lock`, is made if there is none, is readable by this user alone,
    /// holds the owner's process ID, and stays when the owner goes: a name that comes and goes could be locked twice.
    ///
    /// # Errors
    ///
    /// [`StoreError::Owned`] if it is taken, by another process or by this one; [`StoreError::Open`],
    /// [`StoreError::Full`] or [`StoreError::Io`] if `PATH.lock` cannot be made, locked or written.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let of = |error| StoreError::of_io(path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let name = paths::lock(path);
        loop {
            let mut file = options.open(&name).map_err(of)?;
            match file.try_lock() {
                Ok(()) => {}
                // Whoever only looks has it shared, and has gone in a moment.
                Err(TryLockError::WouldBlock) if is_free(&file) => {
                    std::thread::yield_now();
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    let pid = said(&mut file).unwrap_or_default().pid;
                    return Err(StoreError::Owned { path: path.to_owned(), pid });
                }
                Err(TryLockError::Error(error)) => return Err(of(error)),
            }
            let Said { was_made, written, .. } = said(&mut file).map_err(of)?;
            let mut lock = Self { file, name: name.clone(), was_made, written, written_at: 0 };
            // It may have been removed before it was locked: then the next one locks another.
            if lock.is_named().map_err(of)? {
                lock.say(true).map_err(of)?;
                return Ok(lock);
            }
        }
    }

    /// Whether its name still leads to it.
    pub(in crate::engine::sqlite) fn is_named(&self) -> io::Result<bool> {
        Ok(Inode::at(&self.name)? == Some(Inode::of(&self.file.metadata()?)))
    }

    /// Whether there has been a store beside it, as far as is known.
    pub(in crate::engine::sqlite) fn was_made(&self) -> bool {
        self.was_made
    }

    /// Notes that there is a store beside it.
    pub(in crate::engine::sqlite) fn note_made(&mut self) -> io::Result<()> {
        if self.was_made {
            return Ok(());
        }
        self.was_made = true;
        self.say(true)
    }

    /// Returns how many transactions had been committed in the store when it was last noted; 0 where that need not be
    /// compared.
    pub(in crate::engine::sqlite) fn written(&self) -> u64 {
        self.written
    }

    /// Records the number of transactions that have been committed in the store. Each commit does so: one write, without a
    /// sync, since only a process that was killed leaves a number to be compared.
    pub(in crate::engine::sqlite) fn note_written(&mut self, written: u64) -> io::Result<()> {
        self.written = written;
        self.file.seek(SeekFrom::Start(self.written_at))?;
        self.file.write_all(&written_line(written)?)
    }

    /// Writes the owner's process ID if it `is_taken`, whether there has been a store, and the number of its transactions.
    fn say(&mut self, is_taken: bool) -> io::Result<()> {
        let pid = if is_taken { std::process::id().to_string() } else { String::new() };
        let made = if self.was_made { MADE } else { "" };
        let mut text = format!("{pid}\n{made}\n").into_bytes();
        self.written_at = text.len() as u64;
        text.extend(written_line(self.written)?);
        self.file.rewind()?;
        self.file.write_all(&text)?;
        self.file.set_len(text.len() as u64)
    }
}

/// The third line of a lock file.
fn written_line(written: u64) -> io::Result<[u8; WRITTEN_LEN]> {
    let mut line = [0; WRITTEN_LEN];
    writeln!(&mut line[..], "{written:020}")?;
    Ok(line)
}

/// Whether somebody has the right to the store at `path`. Where that cannot be told, nobody is said to be missing.
pub(crate) fn is_owned(path: &Path) -> bool {
    match File::open(paths::lock(path)) {
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
        let _ = self.say(false);
        let _ = self.file.unlock();
    }
}

/// The content of a lock file.
#[derive(Debug, Default)]
struct Said {
    /// The process that has said that it is the owner.
    pid: Option<u32>,
    /// Whether there has been a store.
    was_made: bool,
    /// How many transactions have been committed in it; 0 where that need not be compared.
    written: u64,
}

fn said(file: &mut File) -> io::Result<Said> {
    let mut text = Vec::new();
    file.rewind()?;
    file.take(MOST).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(str::trim);
    Ok(Said {
        pid: lines.next().and_then(|pid| pid.parse().ok()),
        was_made: lines.next() == Some(MADE),
        written: lines.next().and_then(|written| written.parse().ok()).unwrap_or_default(),
    })
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

        use crate::engine::sqlite::file::location::locate;

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

    /// Whoever takes a lock takes the one that the name leads to.
    #[test]
    fn a_lock_that_is_removed_is_not_named_any_more_and_whether_there_was_a_store_stays() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        let mut lock = Lock::take(&path).expect("nobody has it");
        assert!(lock.is_named().expect("it can be looked at") && !lock.was_made());
        lock.note_made().expect("it can be written");
        assert!(matches!(Lock::take(&path), Err(StoreError::Owned { pid: Some(_), .. })));
        drop(lock);
        let lock = Lock::take(&path).expect("it is free again");
        assert!(lock.was_made());
        std::fs::remove_file(paths::lock(&path)).expect("it can be removed");
        assert!(!lock.is_named().expect("it can be looked at"));
        let other = Lock::take(&path).expect("another one is made");
        assert!(other.is_named().expect("it can be looked at") && !other.was_made());
        assert!(!lock.is_named().expect("it can be looked at"));
    }

    #[test]
    fn a_missing_directory_is_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let refused = Lock::take(&directory.path().join("no/zato.db")).expect_err("there is no directory");
        assert!(refused.to_string().contains("its directory does not exist"), "{refused}");
    }
}
