//! The ownership of a store: its locks, and the check that its names still lead to the files that are open.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::cause::Said;
use super::connect;
use super::displaced::Displaced;
use super::error::StoreError;
use super::inode;
use super::inode::{Inode, Mode, Part};
use super::lock::Lock;
use super::open_error::Unopened;
use super::paths;
use super::paths::LEAST_PAGE;
use super::wal;

/// How long to wait for another program that is just closing the store.
const CLOSING: Duration = Duration::from_secs(5);

/// The bytes of a log that holds nothing.
const EMPTY_LOG: u64 = 32;

/// The right to a store, as long as this is there. Dropped after the last connection to the store is closed: with the
/// descriptor that it holds, this process gives up SQLite's own locks.
#[derive(Debug)]
pub(in crate::engine::sqlite) struct Ownership {
    path: PathBuf,
    log: PathBuf,
    index: PathBuf,
    lock: Lock,
    /// The store, open, so that its number is not given to another file.
    file: File,
    inode: Inode,
    /// What the connection that writes has open beside it; none before it is opened.
    beside: Option<Beside>,
}

/// The files beside a store that is open.
#[derive(Debug)]
struct Beside {
    log: Inode,
    index: Inode,
    /// The index, with a lock on it.
    locked_index: Option<File>,
}

impl Ownership {
    /// Takes the right to the store at `path`, and makes the file if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Owned`] if it is taken; [`StoreError::DamagedLog`] if what the log holds was damaged; otherwise what
    /// keeps the file from being made, opened or locked.
    pub(in crate::engine::sqlite) fn take(path: &Path) -> Result<Self, StoreError> {
        let mut lock = Lock::take(path)?;
        let of = |error| StoreError::of_io(path, error);
        is_to_be_made(path, &lock)?;
        if inode::found(path).map_err(of)?.is_none() {
            lock.note_written(0).map_err(of)?;
        }
        connect::make(path)?;
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(of)?;
        let metadata = file.metadata().map_err(of)?;
        let links = inode::links(&metadata);
        if links > 1 {
            let several = io::ErrorKind::InvalidInput.into();
            return Err(StoreError::unopened(path, Unopened::Links(links), several));
        }
        if !inode::lock(&file, Part::OWNER, Mode::Alone).map_err(of)? {
            return Err(StoreError::Owned { path: path.to_owned(), pid: None });
        }
        let (log, index) = (paths::log(path), paths::index(path));
        if let Some(damage) = wal::damage(&log, path).map_err(|error| StoreError::of_log(path, error))? {
            return Err(StoreError::DamagedLog { path: path.to_owned(), damage });
        }
        let inode = Inode::of(&metadata);
        Ok(Self { path: path.to_owned(), log, index, lock, file, inode, beside: None })
    }

    /// Notes what the connection that writes has open, which has just been opened, and locks it: no other program that
    /// closes the store takes itself for the last, whatever descriptors this process closes.
    pub(in crate::engine::sqlite) fn opened(&mut self) -> Result<(), StoreError> {
        let of = |error| StoreError::of_io(&self.path, error);
        let beside = (|| Ok::<_, io::Error>((Inode::at(&self.log)?, Inode::at(&self.index)?)))();
        let (Some(log), Some(index)) = beside.map_err(of)? else {
            return Err(StoreError::LogGone { path: self.path.clone(), is_moved: false });
        };
        if self.beside.as_ref().is_none_or(|beside| beside.index != index) {
            self.beside = None;
            self.share(&self.file, Part::OPEN)?;
            let file =
                if cfg!(target_os = "linux") { Some(File::open(&self.index).map_err(of)?) } else { None };
            if let Some(file) = &file {
                self.share(file, Part::INDEX)?;
            }
            self.beside = Some(Beside { log, index, locked_index: file });
        } else if let Some(beside) = &mut self.beside {
            beside.log = log;
        }
        self.lock.note_made().map_err(of)
    }

    fn share(&self, file: &File, part: Part) -> Result<(), StoreError> {
        let began = Instant::now();
        loop {
            match inode::lock(file, part, Mode::Shared) {
                Ok(true) => return Ok(()),
                Ok(false) if began.elapsed() < CLOSING => thread::sleep(Duration::from_millis(1)),
                Ok(false) => {
                    let busy = io::ErrorKind::ResourceBusy.into();
                    return Err(StoreError::Busy { path: self.path.clone(), source: Said::by_system(busy) });
                }
                Err(error) => return Err(StoreError::of_io(&self.path, error)),
            }
        }
    }

    /// Compares the files that are open with those that their names lead to. Nothing is acknowledged otherwise.
    ///
    /// # Errors
    ///
    /// [`StoreError::Displaced`] if the store, or its lock, was removed, replaced or given a second name;
    /// [`StoreError::LogGone`] if that is so of its log.
    pub(in crate::engine::sqlite) fn check(&mut self) -> Result<(), StoreError> {
        self.check_file()?;
        let Some(beside) = &self.beside else { return Ok(()) };
        let of = |error| StoreError::of_io(&self.path, error);
        let (log, index) = (inode::found(&self.log).map_err(of)?, Inode::at(&self.index).map_err(of)?);
        match log {
            Some(log) if Inode::of(&log) == beside.log && index == Some(beside.index) => Ok(()),
            // It is not known whose it is.
            Some(log) if Inode::of(&log) != beside.log && log.len() > 0 => {
                Err(self.displaced(Displaced::Log))
            }
            _ => Err(StoreError::LogGone { path: self.path.clone(), is_moved: false }),
        }
    }

    /// Compares the store and its lock alone: before it is opened again.
    pub(in crate::engine::sqlite) fn check_file(&mut self) -> Result<(), StoreError> {
        let of = |error| StoreError::of_io(&self.path, error);
        if let Some(what) = Displaced::from(&self.path, self.inode).map_err(of)? {
            let is_deleted =
                what == Displaced::Renamed && inode::links(&self.file.metadata().map_err(of)?) == 0;
            return Err(self.displaced(if is_deleted { Displaced::Deleted } else { what }));
        }
        if self.lock.is_named().map_err(of)? {
            return Ok(());
        }
        self.lock = match Lock::take(&self.path) {
            Ok(lock) => lock,
            Err(StoreError::Owned { pid, .. }) => return Err(self.displaced(Displaced::Lock(pid))),
            Err(error) => return Err(error),
        };
        tracing::warn!(
            file = %self.path.display(),
            "the lock file beside the store was removed while in use; it has been created again, and no other process holds the lock"
        );
        self.lock.note_made().map_err(of)
    }

    /// Compares the number of transactions in the store with the number that was acknowledged by the process before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Lacking`] if the store has fewer: its log was taken away since, or it is an older copy.
    pub(in crate::engine::sqlite) fn compare(&self, written: u64) -> Result<(), StoreError> {
        let acknowledged = self.lock.written();
        if written < acknowledged {
            return Err(StoreError::Lacking {
                path: self.path.clone(),
                transactions: acknowledged - written,
            });
        }
        Ok(())
    }

    /// Notes how many transactions have been committed, for the next start to compare.
    pub(in crate::engine::sqlite) fn note_written(&mut self, written: u64) {
        if let Err(error) = self.lock.note_written(written) {
            // The number before is true as well: the store has at least so many.
            tracing::debug!(file = %self.path.display(), %error, "the number of transactions could not be noted");
        }
    }

    /// The store was closed. Where its log is gone everything is in the store, which may then be replaced.
    pub(in crate::engine::sqlite) fn closed(&mut self) {
        if inode::found(&self.log).is_ok_and(|log| log.is_none()) {
            self.note_written(0);
        }
    }

    /// The store itself, whatever name leads to it.
    pub(in crate::engine::sqlite) fn inode(&self) -> Inode {
        self.inode
    }

    fn displaced(&self, what: Displaced) -> StoreError {
        StoreError::Displaced { path: self.path.clone(), what }
    }

    /// Lets the connection that is closed next move the log into the store and remove it, as the last one does.
    pub(in crate::engine::sqlite) fn release(&mut self) {
        // SQLite tests both locks for other users of the store. A lock that cannot be freed now is freed with its descriptor.
        let _ = inode::lock(&self.file, Part::OPEN, Mode::Free);
        if let Some(index) = self.beside.as_ref().and_then(|beside| beside.locked_index.as_ref()) {
            let _ = inode::lock(index, Part::INDEX, Mode::Free);
        }
    }
}

/// Whether there is a store, or one can be made: an empty file, or none, where a store was, is not made anew.
fn is_to_be_made(path: &Path, lock: &Lock) -> Result<(), StoreError> {
    let of = |error| StoreError::of_io(path, error);
    let length = inode::found(path).map_err(of)?.map(|found| found.len());
    let log = inode::found(&paths::log(path)).map_err(of)?.map_or(0, |log| log.len());
    let refused = |reason| Err(StoreError::unopened(path, reason, io::ErrorKind::UnexpectedEof.into()));
    match length {
        None if log > EMPTY_LOG => refused(Unopened::LogAlone),
        Some(length) if length < LEAST_PAGE && (log > EMPTY_LOG || lock.was_made()) => {
            refused(Unopened::Emptied)
        }
        Some(1..LEAST_PAGE) => Err(StoreError::Foreign { path: path.to_owned() }),
        None if lock.was_made() => {
            tracing::warn!(file = %path.display(), "the store file is missing, although its lock file exists: creating an empty store");
            Ok(())
        }
        _ => Ok(()),
    }
}
