//! A connection for look-ups that read much, beside the writer.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::engine::contract::StoreFault;
use crate::engine::sqlite::file::connect;
use crate::engine::sqlite::file::error::StoreError;
use crate::engine::sqlite::file::inode::Inode;
use crate::engine::sqlite::thread::caught;

/// How many reads of an engine have begun, and how many of them are over.
#[derive(Debug, Default)]
pub(in crate::engine::sqlite) struct Reads {
    begun: AtomicU64,
    over: AtomicU64,
}

impl Reads {
    fn begin(&self) -> Reading<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Reading(self)
    }

    /// How many are over, and whether one is under way.
    pub(in crate::engine::sqlite) fn now(&self) -> (u64, bool) {
        let over = self.over.load(Ordering::SeqCst);
        (over, self.begun.load(Ordering::SeqCst) > over)
    }
}

/// A read that is under way.
struct Reading<'a>(&'a Reads);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::SeqCst);
    }
}

/// Reads what is committed.
pub(in crate::engine::sqlite) struct Reader {
    path: Box<Path>,
    /// The file that the path is to lead to.
    inode: Option<Inode>,
    /// How it is opened, which the first that reads does.
    open: fn(&Path) -> Result<Connection, StoreError>,
    connection: Mutex<Option<Connection>>,
    /// Set when something holds it locked.
    is_locked_out: Arc<AtomicBool>,
    reads: Arc<Reads>,
    /// Set when the engine is closed: the file is not opened again.
    is_closed: AtomicBool,
}

impl Reader {
    pub(in crate::engine::sqlite) fn new(
        path: &Path,
        inode: Option<Inode>,
        is_locked_out: &Arc<AtomicBool>,
        reads: &Arc<Reads>,
    ) -> Self {
        Self::opened_by(connect::open_reader, path, inode, is_locked_out, reads)
    }

    /// The connection that moves the log into the file. It is not among those that are watched: it helps them.
    pub(in crate::engine::sqlite) fn mover(
        path: &Path,
        inode: Option<Inode>,
        is_locked_out: &Arc<AtomicBool>,
    ) -> Self {
        Self::opened_by(connect::open_read_only, path, inode, is_locked_out, &Arc::default())
    }

    fn opened_by(
        open: fn(&Path) -> Result<Connection, StoreError>,
        path: &Path,
        inode: Option<Inode>,
        is_locked_out: &Arc<AtomicBool>,
        reads: &Arc<Reads>,
    ) -> Self {
        Self {
            path: path.into(),
            inode,
            open,
            connection: Mutex::new(None),
            is_locked_out: is_locked_out.clone(),
            reads: reads.clone(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Asks the file something. Takes as long as that takes.
    pub(in crate::engine::sqlite) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreFault> {
        let mut connection = self.hold();
        let _reading = self.reads.begin();
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(StoreFault::new(&StoreError::Closed { path: self.path.to_path_buf() }));
        }
        let open = match connection.take() {
            Some(open) => open,
            None => StoreError::check_displaced(&self.path, self.inode)
                .and_then(|()| (self.open)(&self.path))
                .map_err(|error| self.failed(&error))?,
        };
        let read = match caught(|| read(&open)) {
            Ok(Ok(read)) => read,
            // A connection that has failed is not used again.
            Ok(Err(error)) => return Err(self.failed(&StoreError::of(&self.path, error))),
            Err(panic) => {
                return Err(self.failed(&StoreError::Panicked { path: self.path.to_path_buf(), panic }));
            }
        };
        *connection = Some(open);
        Ok(read)
    }

    fn failed(&self, error: &StoreError) -> StoreFault {
        self.is_locked_out.fetch_or(error.is_busy(), Ordering::Relaxed);
        StoreFault::new(error)
    }

    /// Nobody reads, or opens the file, until this is dropped.
    pub(in crate::engine::sqlite) fn hold(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection; who reads next opens another.
    pub(in crate::engine::sqlite) fn let_go(&self) {
        *self.hold() = None;
    }

    /// Closes the connection for good.
    pub(in crate::engine::sqlite) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.let_go();
    }
}
