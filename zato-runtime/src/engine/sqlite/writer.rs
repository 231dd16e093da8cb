//! The writer thread: it writes all waiting changes in one transaction and answers after one sync.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::batch::{Granted, WriteBatch};
use super::database::Database;
use super::engine::{Inner, Locked};
use super::file::connect;
use super::file::error::StoreError;
use super::thread::{caught, quietly};

/// How long to wait before writing is tried again that has failed: the first time, and at the most.
const RETRY: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// How often it is looked meanwhile whether the engine is being closed.
const LOOK: Duration = Duration::from_millis(20);

impl Inner {
    /// Has what waits written, if nobody is about to. Where a test's clock is paused, it stands still meanwhile.
    pub(super) fn kick(self: &Arc<Self>, guarded: MutexGuard<'_, Locked>) {
        if self.is_writing.swap(true, Ordering::SeqCst) {
            return;
        }
        drop(guarded);
        let inner = self.clone();
        self.run(&self.threads.writer, move || inner.write_all());
    }

    pub(super) fn file(&self) -> MutexGuard<'_, Database> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes as long as there is something to write: what comes while the disk is busy goes together.
    pub(super) fn write_all(self: &Arc<Self>) {
        let mut file = self.file();
        while let Some(together) = self.take_together() {
            self.write_together(&mut file, together);
        }
    }

    /// Takes what is to be written; nobody writes where there is nothing.
    fn take_together(&self) -> Option<WriteBatch> {
        let mut together = WriteBatch::default();
        let mut guarded = self.guarded();
        guarded.state.take(&mut together);
        self.is_writing.store(!together.is_empty(), Ordering::SeqCst);
        (!together.is_empty()).then_some(together)
    }

    /// Writes it, and answers all who wait for that. Whatever panics meanwhile, they are answered, and what comes next is
    /// written.
    fn write_together(self: &Arc<Self>, file: &mut Database, mut together: WriteBatch) {
        self.tell_counted(file);
        self.let_locked_go(file);
        if !together.changes.is_empty() && !self.write(file, &mut together) {
            file.give_up();
            together.afters.into_iter().for_each(|after| quietly(|| after(None)));
            return;
        }
        let deferred = self.guarded().state.has_written(&together);
        quietly(|| deferred.finish());
        // Callers hear first: what workers begin now would hold them up.
        let mut handed = Granted::default();
        together.afters.into_iter().for_each(|after| quietly(|| after(Some(&mut handed))));
        quietly(|| self.hand_out(handed));
        quietly(|| self.look_at_log(file));
        self.look_at_age(file);
    }

    /// Who writes learns what had ended when the file was opened.
    pub(super) fn tell_counted(&self, file: &mut Database) {
        if let Some(kept) = self.counted.lock().unwrap_or_else(PoisonError::into_inner).take() {
            file.counted(kept);
        }
    }

    /// Writes this and what comes meanwhile, for as long as that takes; answers whether it is on disk. It is not
    /// where the engine was closed before it could be.
    fn write(self: &Arc<Self>, file: &mut Database, together: &mut WriteBatch) -> bool {
        let (mut failed_at, mut wait): (Option<Instant>, _) = (None, RETRY.0);
        loop {
            let is_repeated = failed_at.is_some();
            let more = |together: &mut WriteBatch| self.guarded().state.take(together);
            let written = caught(|| file.write(together, more, is_repeated));
            let error = match written.unwrap_or_else(|panic| Err(file.panicked(panic))) {
                Ok(()) => {
                    self.has_succeeded(is_repeated);
                    return true;
                }
                Err(error) => error,
            };
            self.has_failed(&error, failed_at.map(|at| at.elapsed()));
            self.empty_log_for_room(file);
            self.let_go(file, &error);
            // The lock may have been this process's own: then it is free now, also where the engine is being closed.
            failed_at.get_or_insert_with(Instant::now);
            if error.is_to_be_reopened() && !is_repeated {
                continue;
            }
            if self.waits_in_vain(wait) {
                return false;
            }
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Closes every connection to the file after this error, if it needs that: a lock that could not be given back stays
    /// taken in the books of SQLite, for this process as well, until it has no connection to the file any more. Each is
    /// opened again by who needs it. Waits for who reads. After a failed sync none is closed but the writer's: who opens
    /// the first would take for committed what is in the log, and is not on disk.
    pub(super) fn let_go(&self, file: &mut Database, error: &StoreError) {
        if error.is_to_be_reopened() {
            self.let_all_go(file);
        }
    }

    fn let_all_go(&self, file: &mut Database) {
        if !file.is_open() {
            return;
        }
        // Nobody opens one before the last is closed; that of the writer is first, so that its log is not moved here.
        let (mut mover, mut reader, mut pager) = (self.mover.hold(), self.reader.hold(), self.pager.hold());
        let guarded = self.guarded();
        file.let_go();
        (*mover, *reader, *pager) = (None, None, None);
        guarded.state.store.let_go();
    }

    /// The same where who reads was locked out, also by this process. Who writes now does so when that is done.
    /// Answers whether all was let go of now.
    pub(super) fn look_at_locks(&self) -> bool {
        self.file.try_lock().is_ok_and(|mut file| self.let_locked_go(&mut file))
    }

    fn let_locked_go(&self, file: &mut Database) -> bool {
        let is_locked_out = self.is_locked_out.swap(false, Ordering::Relaxed) | self.was_read_freed();
        if is_locked_out {
            self.let_all_go(file);
        }
        is_locked_out
    }

    /// Waits before another try; answers whether the engine is being closed, so that there is none.
    fn waits_in_vain(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            if self.is_closing.load(Ordering::SeqCst) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::sleep(left.min(LOOK));
        }
    }

    /// Whether there is so little room that no calls are taken. Has the log emptied where that may help.
    pub(super) fn is_room_low(self: &Arc<Self>) -> bool {
        let is_low = self.space.is_low();
        if self.space.asks_for_log() {
            let inner = self.clone();
            self.run(&self.threads.checkpointer, move || {
                // Who writes now does so when that is done.
                match inner.file.try_lock() {
                    Ok(mut file) => inner.empty_log_for_room(&mut file),
                    Err(_) => inner.space.leaves_log(),
                }
            });
        }
        is_low
    }

    /// Empties the log, where the room that it holds is wanted.
    fn empty_log_for_room(&self, file: &mut Database) {
        if self.space.takes_log() {
            self.space.log_emptied(file.empty_log());
        }
    }

    /// Has somebody else move the log into the file where it is long.
    pub(super) fn look_at_log(self: &Arc<Self>, file: &mut Database) {
        self.empty_log_for_room(file);
        if self.is_moving.load(Ordering::SeqCst) {
            return;
        }
        if self.has_moved.swap(false, Ordering::SeqCst) {
            file.move_rest();
            return;
        }
        if !file.is_log_long() {
            return;
        }
        self.is_moving.store(true, Ordering::SeqCst);
        let inner = self.clone();
        self.run(&self.threads.checkpointer, move || {
            let moved = inner.mover.read(|connection| connect::checkpoint(connection, false));
            inner.has_moved.store(true, Ordering::SeqCst);
            inner.is_moving.store(false, Ordering::SeqCst);
            if let Err(error) = moved {
                tracing::warn!(engine = inner.url, %error, "a checkpoint failed: the write-ahead log grows until one succeeds");
                inner.look_at_locks();
            }
        });
    }
}
