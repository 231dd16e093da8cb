//! Whether changes are written: who waits for that hears when they cannot be, and look-ups do not wait for a writer that
//! does not get on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::engine::Inner;
use super::file::connect;
use super::file::error::StoreError;
use super::thread::quietly;
use crate::engine::contract::StoreFault;

/// A writer that has written nothing for so long, though there is something to write, is behind. One read for so long may wait
/// for a lock.
const IN_TIME: Duration = Duration::from_millis(500);

/// What another program keeps from being written is waited for so long before anybody hears that it may not be.
const LOCKED_OUT: Duration = Duration::from_secs(30);

/// How far who writes and who reads has come, and whether somebody does.
#[derive(Debug, Clone, Copy)]
struct Progress {
    written: u64,
    is_writing: bool,
    reads: u64,
    is_reading: bool,
}

impl Inner {
    /// Something could not be written; the first try of it was so long ago.
    pub(super) fn has_failed(&self, error: &StoreError, since: Option<Duration>) {
        if since.is_none() {
            quietly(|| {
                tracing::error!(
                    engine = self.url, %error,
                    "the store cannot be written now; writes are retried, and calls wait until one succeeds"
                );
            });
        }
        self.is_failing.store(true, Ordering::SeqCst);
        self.is_behind.send_replace(true);
        if error.is_full() {
            // Who waits goes on waiting until there is room, and nobody else is let in.
            self.space.is_low_now();
            return;
        }
        if error.is_of_others() && since.unwrap_or_default() < LOCKED_OUT {
            return;
        }
        let fault = StoreFault::new(error);
        self.fault.send_if_modified(|told| {
            let is_news = told.as_ref() != Some(&fault);
            *told = Some(fault.clone());
            is_news
        });
        // Whoever hears of the damage finds that nothing more is taken.
        if error.is_damage() {
            self.damage.send_replace(Some(fault));
        }
    }

    /// Something has been written; whether that had failed before.
    pub(super) fn has_succeeded(self: &Arc<Self>, had_failed: bool) {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.is_failing.store(false, Ordering::SeqCst);
        self.is_behind.send_if_modified(std::mem::take);
        if had_failed {
            quietly(|| tracing::info!(engine = self.url, "the store can be written again"));
            self.fault.send_if_modified(|told| told.take().is_some());
            self.damage.send_if_modified(|told| told.take().is_some());
            self.line.wake();
            // All connections may have been closed.
            let inner = self.clone();
            self.threads.checkpointer.run(move || inner.open_mover());
        }
    }

    /// Has somebody look whether who writes and who reads gets on, for as long as somebody does. Where a test's clock is
    /// paused, it stands still until all is written, and nothing is late.
    pub(super) fn watch(self: &Arc<Self>) {
        let is_needed = !self.is_watched.load(Ordering::Relaxed) && !self.clock.is_paused_time();
        if is_needed && !self.is_watched.swap(true, Ordering::SeqCst) {
            self.look_later();
        }
    }

    fn look_later(self: &Arc<Self>) {
        let (inner, seen) = (Arc::downgrade(self), self.progress());
        let look = move || inner.upgrade().into_iter().for_each(|inner| inner.look_at(seen));
        self.threads.checkpointer.run_at(Instant::now() + IN_TIME, look);
    }

    fn progress(&self) -> Progress {
        let (reads, is_reading) = self.reads.now();
        let (written, is_writing) =
            (self.written.load(Ordering::Relaxed), self.is_writing.load(Ordering::SeqCst));
        Progress { written, is_writing, reads, is_reading }
    }

    /// Looks what has become of this since.
    fn look_at(self: &Arc<Self>, seen: Progress) {
        let now = self.progress();
        if !now.is_writing && !now.is_reading {
            self.is_watched.store(false, Ordering::SeqCst);
            // Who begins between these two is not watched by anybody else.
            let now = self.progress();
            if !(now.is_writing || now.is_reading) || self.is_watched.swap(true, Ordering::SeqCst) {
                return;
            }
        }
        if seen.is_writing && now.is_writing && now.written == seen.written {
            self.is_behind.send_replace(true);
            if !self.is_failing.load(Ordering::SeqCst) && self.beginning.frees() {
                self.free();
            }
        }
        // Who writes may wait for who reads.
        if seen.is_reading && now.is_reading && now.reads == seen.reads {
            // Once for each read: it may just take long.
            let is_failing = self.is_failing.load(Ordering::SeqCst);
            if !is_failing && self.freed_read.swap(now.reads + 1, Ordering::SeqCst) != now.reads + 1 {
                self.free();
            }
        }
        self.open_mover();
        self.look_later();
    }

    /// Whether a read went on after it was freed, so that what it waited for may still be taken in the books of SQLite.
    pub(super) fn was_read_freed(&self) -> bool {
        let freed = self.freed_read.load(Ordering::SeqCst);
        let is_over = freed != 0 && self.reads.now().0 >= freed;
        is_over && self.freed_read.swap(0, Ordering::SeqCst) != 0
    }

    /// Has a connection open that can move the log when no other can begin anything.
    pub(super) fn open_mover(&self) {
        // Where it cannot be opened, who moves the log says so.
        let _ = self.mover.read(|_| Ok(()));
    }

    /// Frees who waits for a lock that this process could not give back. SQLite has whoever begins to read the log try for ten
    /// seconds, and asks nobody meanwhile; where all of the log is in the file, it reads that, and needs no such lock. Not after a
    /// write has failed: what the log holds then may not be on disk, and must not be moved.
    fn free(&self) {
        if let Err(error) = self.mover.read(|connection| connect::checkpoint(connection, false)) {
            quietly(
                || tracing::warn!(engine = self.url, %error, "a checkpoint failed: the write-ahead log could not be moved into the file"),
            );
        }
    }
}
