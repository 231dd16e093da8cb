//! The open file as the writer has it. It is closed after a failure, and opened again.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use rusqlite::Connection;
use zato_core::ServiceName;

use super::batch::WriteBatch;
use super::file::connect;
use super::file::connect::Checkpointed;
use super::file::error::StoreError;
use super::file::inode::Inode;
use super::file::ownership::Ownership;
use super::file::paths;
use super::read::queries;
use super::rows::announce::is_announced;
use super::rows::kept::{self, Counted, EndedCounts};
use super::rows::retention::Retention;
use super::rows::unrecorded::Callers;
use super::rows::write_connection::WriteConnection;
use crate::base::clock::Clock;
use crate::config::Config;
use crate::record::Hosted;

/// So many bytes of the log are written again at once.
const PART: usize = 1 << 20;

/// How many rows a sweep looks at with each transaction, beside two for each change in it.
const SWEPT_AT_ONCE: usize = 32;

/// So many pages of the log are moved into the file by a thread that does nothing else: 16 MiB.
const MANY_PAGES: u64 = 4_096;

/// A log of so many pages is said to be too long: 256 MiB.
const TOO_MANY_PAGES: u64 = 65_536;

/// After so many transactions it is looked how long the log is, and keys are forgotten that are too old.
const SELDOM: u64 = 16;

/// The file and the right to it.
#[expect(clippy::struct_excessive_bools, reason = "each says another thing, and all can be at once")]
pub(super) struct Database {
    path: PathBuf,
    /// None after it has failed, until it is open again, and once it is closed.
    rows: Option<WriteConnection>,
    /// Kept until the engine is closed, and longer than the rows.
    ownership: Option<Ownership>,
    retention: Retention,
    clock: Clock,
    transactions: u64,
    /// What is kept, where it was closed and had not failed.
    kept: Option<EndedCounts>,
    /// Whether it has failed and was opened again.
    was_opened_again: bool,
    /// Whether changes were given up: what comes after may build on them, and is not written either.
    has_given_up: bool,
    /// Whether something could not be read: nothing is swept then, since nobody waits for that, and it may be what is old.
    is_damaged: bool,
    /// Whether a long log has been told of.
    told_of_log: bool,
    /// Whether its names did not lead to what is open when that was looked at last: nothing is written before they do.
    is_displaced: bool,
    beginning: Arc<Beginning>,
    callers: Arc<Callers>,
}

/// A transaction that is being begun, which takes a moment; or, where a lock was not given back, SQLite's ten seconds.
#[derive(Debug, Default)]
pub(super) struct Beginning(AtomicU8);

impl Beginning {
    const NONE: u8 = 0;
    const BEGINS: u8 = 1;
    const FREED: u8 = 2;

    fn begins(&self) {
        self.0.store(Self::BEGINS, Ordering::SeqCst);
    }

    /// Answers whether somebody has freed it meanwhile.
    fn has_begun(&self) -> bool {
        self.0.swap(Self::NONE, Ordering::SeqCst) == Self::FREED
    }

    /// Notes of a transaction that is being begun that it is about to be freed; answers whether there is one.
    pub(super) fn frees(&self) -> bool {
        self.0.compare_exchange(Self::BEGINS, Self::FREED, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// What SQLite says where somebody holds the file locked.
fn busy() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}

impl Database {
    /// Takes the right to the file and opens it, or makes it.
    pub(super) fn open(path: &Path, config: &Config) -> Result<Self, StoreError> {
        let mut ownership = Ownership::take(path)?;
        let mut rows = WriteConnection::new(settled(path)?);
        let written = connect::written(&rows.connection).map_err(|error| StoreError::of(path, error))?;
        ownership.compare(written)?;
        let callers: Arc<Callers> = Arc::default();
        rows.callers = callers.clone();
        ownership.opened()?;
        Ok(Self {
            path: path.to_owned(),
            rows: Some(rows),
            ownership: Some(ownership),
            retention: Retention::of(config),
            clock: config.clock.clone(),
            transactions: 0,
            kept: None,
            was_opened_again: false,
            has_given_up: false,
            is_damaged: false,
            told_of_log: false,
            is_displaced: false,
            beginning: Arc::default(),
            callers,
        })
    }

    pub(super) fn callers(&self) -> Arc<Callers> {
        self.callers.clone()
    }

    pub(super) fn beginning(&self) -> Arc<Beginning> {
        self.beginning.clone()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself, whatever name leads to it.
    pub(super) fn inode(&self) -> Option<Inode> {
        self.ownership.as_ref().map(Ownership::inode)
    }

    /// Makes the changes in one transaction, with what comes meanwhile, which `more` adds to them; answers when they are
    /// on disk. `is_repeated` where that has failed before.
    pub(super) fn write(
        &mut self,
        together: &mut WriteBatch,
        more: impl Fn(&mut WriteBatch),
        is_repeated: bool,
    ) -> Result<(), StoreError> {
        if self.has_given_up {
            return Err(self.closed());
        }
        let is_time = (self.transactions + 1).is_multiple_of(SELDOM);
        let (retention, now, is_damaged) = (self.retention, self.clock.system_time(), self.is_damaged);
        self.transact(|rows| {
            let made = make(rows, together, more, is_repeated)?;
            if is_damaged {
                return Ok(());
            }
            retention.sweep(rows, now, SWEPT_AT_ONCE + 2 * made, is_time)
        })
    }

    /// Forgets what is too old, in a transaction of its own: looks at up to `limit` rows of each class. Does nothing
    /// where nothing is due. Answers whether something is due even then.
    pub(super) fn sweep(&mut self, limit: usize) -> Result<bool, StoreError> {
        let (retention, now) = (self.retention, self.clock.system_time());
        self.begin_again()?;
        let is_due = |file: &Self| file.due().is_some_and(|due| due <= now);
        if self.has_given_up || self.is_damaged || !is_due(self) {
            return Ok(false);
        }
        self.transact(|rows| retention.sweep(rows, now, limit, true))?;
        Ok(is_due(self))
    }

    /// When there is something to sweep though nothing else is written; none while it is closed.
    pub(super) fn due(&self) -> Option<SystemTime> {
        self.rows.as_ref().and_then(|rows| self.retention.due(rows))
    }

    /// Makes changes in one transaction. They count once it is known that the file in which they are is the one that is
    /// found by its name.
    fn transact(
        &mut self,
        make: impl FnOnce(&mut WriteConnection) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        if self.is_displaced {
            self.check()?;
        }
        self.begin_again()?;
        let Some(rows) = &mut self.rows else { return Err(self.closed()) };
        self.transactions += 1;
        let committed = (|| {
            self.beginning.begins();
            let begun = rows.begin();
            let was_freed = self.beginning.has_begun();
            begun?;
            if was_freed {
                // What it waited for is still taken in the books of SQLite, and it would come to it again.
                return Err(busy());
            }
            make(rows)?;
            rows.commit()
        })();
        let Err(error) = committed else {
            self.check()?;
            let written = self.rows.as_ref().and_then(WriteConnection::written);
            if let (Some(ownership), Some(written)) = (&mut self.ownership, written) {
                ownership.note_written(written);
            }
            return Ok(());
        };
        let undone = rows.rollback();
        let error = StoreError::of(&self.path, error);
        self.is_damaged |= error.is_damage();
        if undone.is_err() || !error.leaves_it_whole() {
            // What a failed sync has left in the cache may be gone: nothing is believed that was not read again.
            self.rows = None;
        }
        Err(error)
    }

    /// Compares what is open with what the names lead to. Where only the log was taken away, what it holds is moved into
    /// the file, and every connection is to be opened anew.
    fn check(&mut self) -> Result<(), StoreError> {
        let Some(ownership) = &mut self.ownership else { return Ok(()) };
        let checked = match ownership.check() {
            // None is open any more: the next one has the new log.
            Err(StoreError::LogGone { .. }) if self.rows.is_none() => Ok(()),
            Err(StoreError::LogGone { path, .. }) => {
                let moved = self.rows.as_ref().map(|rows| rows.checkpoint(true));
                let is_moved = matches!(moved, Some(Ok(Checkpointed { is_whole: true, .. })));
                Err(StoreError::LogGone { path, is_moved })
            }
            checked => checked,
        };
        self.is_displaced = checked.is_err();
        checked
    }

    /// Records what this process says of the services that it hosts, where the file does not say so. Returns the names of
    /// all services that processes have ever announced, former names among them, each with the name of today. It is the
    /// last step of a start, which waits longer for locks than what comes after it.
    pub(super) fn announce(
        &mut self,
        services: &[Hosted],
    ) -> Result<HashMap<ServiceName, ServiceName>, StoreError> {
        self.record(services)?;
        let Some(rows) = &self.rows else { return Err(self.closed()) };
        let of = |error| StoreError::of(&self.path, error);
        connect::has_started(&rows.connection).map_err(of)?;
        queries::names(&rows.connection).map_err(of)
    }

    fn record(&mut self, services: &[Hosted]) -> Result<(), StoreError> {
        let Some(rows) = &mut self.rows else { return Err(self.closed()) };
        let announced = (|| {
            if is_announced(&rows.connection, services)? {
                return Ok(());
            }
            rows.begin()?;
            rows.changing().announce(services)?;
            rows.commit()
        })();
        announced.map_err(|error| {
            // It is not open for long: nothing was announced.
            let _ = rows.rollback();
            StoreError::of(&self.path, error)
        })
    }

    /// What could not be written never will be, nor what comes after it: the next process begins where the file stands.
    pub(super) fn give_up(&mut self) {
        self.has_given_up = true;
    }

    /// So many had ended and were kept when the file was opened.
    pub(super) fn counted(&mut self, kept: Counted) {
        // One that was opened again has been counted then.
        if self.was_opened_again {
            return;
        }
        match (&mut self.rows, &mut self.kept) {
            (Some(rows), _) => rows.counted(kept),
            (None, Some(closed)) => closed.counted(kept),
            // It is counted when it is opened again.
            (None, None) => {}
        }
    }

    /// Something panicked while it wrote. Nothing is believed that was not read again.
    pub(super) fn panicked(&mut self, panic: String) -> StoreError {
        (self.rows, self.kept) = (None, None);
        StoreError::Panicked { path: self.path.clone(), panic }
    }

    /// Whether it is open, and so has not failed.
    pub(super) fn is_open(&self) -> bool {
        self.rows.is_some()
    }

    /// Closes the file, to be opened again before it is used next.
    pub(super) fn let_go(&mut self) {
        if let Some(rows) = self.rows.take() {
            self.kept = Some(rows.kept);
        }
    }

    /// Opens the file again. After it has failed nothing counts before all of the log is on disk.
    fn begin_again(&mut self) -> Result<(), StoreError> {
        let Some(ownership) = self.ownership.as_mut().filter(|_| self.rows.is_none()) else {
            return Ok(());
        };
        ownership.check_file()?;
        if let Some(kept) = self.kept {
            let mut rows = WriteConnection::new(reopened(&self.path, connect::open_made(&self.path)?)?);
            rows.begin().and_then(|()| rows.rollback()).map_err(|error| StoreError::of(&self.path, error))?;
            ownership.opened()?;
            (rows.kept, rows.callers) = (kept, self.callers.clone());
            (self.rows, self.kept) = (Some(rows), None);
            tracing::debug!(file = %self.path.display(), "the store file has been opened again");
            return Ok(());
        }
        let connection = reopened(&self.path, settled(&self.path)?)?;
        ownership.opened()?;
        let kept = kept::count(&connection).map_err(|error| StoreError::of(&self.path, error))?;
        let mut rows = WriteConnection::new(connection);
        rows.counted(kept);
        rows.callers = self.callers.clone();
        self.rows = Some(rows);
        self.was_opened_again = true;
        tracing::debug!(file = %self.path.display(), "the store file has been opened again, and its write-ahead log is on disk");
        Ok(())
    }

    fn closed(&self) -> StoreError {
        StoreError::Closed { path: self.path.clone() }
    }

    /// Whether the log is so long that somebody else should move it into the file now.
    pub(super) fn is_log_long(&mut self) -> bool {
        if !self.transactions.is_multiple_of(SELDOM) {
            return false;
        }
        let Some(Ok(log)) = self.rows.as_ref().map(WriteConnection::log) else { return false };
        log.log_pages - log.moved_pages.min(log.log_pages) > MANY_PAGES || log.log_pages > 4 * MANY_PAGES
    }

    /// Moves the log into the file and truncates it, for the room that it holds. Answers whether it is empty.
    pub(super) fn empty_log(&mut self) -> bool {
        if self.is_displaced {
            return false;
        }
        match self.rows.as_ref().map(WriteConnection::empty_log) {
            Some(Ok(is_empty)) => is_empty,
            Some(Err(error)) => {
                let error = StoreError::of(&self.path, error);
                tracing::debug!(file = %self.path.display(), %error, "the write-ahead log could not be truncated");
                false
            }
            None => false,
        }
    }

    /// Somebody else has moved what it could: moves what came meanwhile, so that the next transaction begins the log anew.
    pub(super) fn move_rest(&mut self) {
        let Some(Ok(Checkpointed { log_pages, is_whole, .. })) =
            self.rows.as_ref().map(|rows| rows.checkpoint(false))
        else {
            return;
        };
        let is_long = log_pages > TOO_MANY_PAGES && !is_whole;
        if is_long && !self.told_of_log {
            tracing::warn!(
                file = %self.path.display(), pages = log_pages,
                "the write-ahead log is larger than 256 MiB, because a reader keeps it from being truncated: a `sqlite3` shell or a backup"
            );
        }
        self.told_of_log = is_long;
    }

    /// Closes the file and gives it to whoever wants it next.
    pub(super) fn close(&mut self) {
        let checked = self.check();
        if let (Ok(()), Some(ownership)) = (&checked, &mut self.ownership) {
            ownership.release();
        }
        if let Err(error) = checked {
            tracing::error!(file = %self.path.display(), %error, "the store file has been closed, and may not be the file that its path names");
        }
        let closed = self.rows.take().map(WriteConnection::close);
        if let (Some(Ok(())), Some(ownership)) = (&closed, &mut self.ownership) {
            ownership.closed();
        }
        if let Some(Err(error)) = closed {
            tracing::warn!(file = %self.path.display(), %error, "the store file could not be closed cleanly; nothing is lost");
        }
        self.ownership = None;
    }
}

/// Makes changes, and those that `more` adds to them meanwhile; answers how many they were.
fn make(
    rows: &mut WriteConnection,
    together: &mut WriteBatch,
    more: impl Fn(&mut WriteBatch),
    is_repeated: bool,
) -> rusqlite::Result<usize> {
    let (mut changing, mut made) = (rows.changing(), 0);
    while made < together.changes.len() {
        for change in &together.changes[made..] {
            change.make(&mut changing, is_repeated)?;
        }
        made = together.changes.len();
        if !together.is_large() {
            more(together);
        }
    }
    Ok(made)
}

/// The file, open, and its log moved into it: what a failed sync of this process or of one before it has left in the
/// system's cache is read from there and is not on the disk, and what is written behind it would be lost with it.
fn settled(path: &Path) -> Result<Connection, StoreError> {
    let of = |error| StoreError::of(path, error);
    let connection = connect::open_made(path)?;
    // Nobody else writes to it meanwhile.
    connection.execute_batch("BEGIN IMMEDIATE").map_err(of)?;
    let written = write_log_again(path);
    connection.execute_batch("ROLLBACK").map_err(of)?;
    written?;
    let moved = connect::checkpoint(&connection, true).map_err(of)?;
    if moved.is_whole { Ok(connection) } else { Err(StoreError::Unsettled { path: path.to_owned() }) }
}

/// Writes the log anew, as it is read, where it stands. What a failed sync has left in the system's cache counts there as
/// written, though it is not on the disk, and no later sync writes it: moved into the file from such a log, it would be
/// half there if the power went meanwhile, and nothing could mend it.
fn write_log_again(path: &Path) -> Result<(), StoreError> {
    let again = || {
        let mut log = OpenOptions::new().read(true).write(true).open(paths::log(path))?;
        let mut at = 0;
        let mut part = vec![0; PART];
        loop {
            log.seek(SeekFrom::Start(at))?;
            let read = log.read(&mut part)?;
            if read == 0 {
                return log.sync_all();
            }
            log.seek(SeekFrom::Start(at))?;
            log.write_all(&part[..read])?;
            at += read as u64;
        }
    };
    match again() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        written => written.map_err(|error| StoreError::of_log(path, error)),
    }
}

/// A connection that was opened again waits for locks as the engine does once it has started.
fn reopened(path: &Path, connection: Connection) -> Result<Connection, StoreError> {
    connect::has_started(&connection).map_err(|error| StoreError::of(path, error))?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::engine::sqlite::read::queries;
    use crate::engine::sqlite::rows::change::Change;
    use crate::engine::sqlite::rows::insert::{As, Limits};
    use crate::engine::sqlite::test_data::{invocation, nth};

    fn accepted(number: u64) -> Change {
        let invocation = Arc::new(invocation(nth(number)));
        Change::Accepted {
            number,
            invocation,
            limits: Limits::default(),
            accepted: As::Waiting,
            hidden_by: None,
        }
    }

    fn file() -> (tempfile::TempDir, Database) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = Database::open(&directory.path().join("zato.db"), &Config::default()).expect("it opens");
        (directory, file)
    }

    fn last(file: &Database) -> u64 {
        let reader = connect::open_reader(file.path()).expect("it opens");
        queries::last_number(&reader).expect("it can be asked")
    }

    #[test]
    fn what_comes_meanwhile_is_written_in_the_same_transaction() {
        let (_directory, mut file) = file();
        let mut together = WriteBatch { changes: vec![accepted(1)], ..WriteBatch::default() };
        let number = Cell::new(1);
        let more = |together: &mut WriteBatch| {
            if number.get() < 5 {
                number.set(number.get() + 1);
                together.changes.push(accepted(number.get()));
            }
        };
        file.write(&mut together, more, false).expect("it is written");
        assert_eq!((last(&file), file.transactions, together.changes.len()), (5, 1, 5));
    }

    #[test]
    fn what_goes_on_coming_keeps_nobody_waiting() {
        let (_directory, mut file) = file();
        let mut together = WriteBatch { changes: vec![accepted(1)], ..WriteBatch::default() };
        let number = Cell::new(1);
        let more = |together: &mut WriteBatch| {
            number.set(number.get() + 1);
            together.changes.push(accepted(number.get()));
        };
        file.write(&mut together, more, false).expect("it is written");
        assert!(together.is_large());
        assert_eq!(last(&file), number.get());
    }
}
