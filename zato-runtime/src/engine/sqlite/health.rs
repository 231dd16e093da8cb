//! Whether changes are written: who waits for that hears when they cannot be, and look-ups do not wait for a writer that
//! does not get on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::engine::Inner;
use super::error::StoreError;
use super::thread::quietly;
use crate::engine::contract::StoreFault;

/// A writer that has written nothing for so long, though there is something to write, is behind.
const IN_TIME: Duration = Duration::from_millis(500);

/// What another program keeps from being written is waited for so long before anybody hears that it may not be.
const LOCKED_OUT: Duration = Duration::from_secs(30);

impl Inner {
    /// Something could not be written; the first try of it was so long ago.
    pub(super) fn has_failed(&self, error: &StoreError, since: Option<Duration>) {
        if since.is_none() {
            quietly(|| {
                tracing::error!(
                    engine = self.url, %error,
                    "changes cannot be written now; they are tried again, and nothing is acknowledged meanwhile"
                );
            });
        }
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
        if error.is_damage() {
            self.damage.send_replace(Some(fault.clone()));
        }
        self.fault.send_if_modified(|told| {
            let is_news = told.as_ref() != Some(&fault);
            *told = Some(fault);
            is_news
        });
    }

    /// Something has been written; whether that had failed before.
    pub(super) fn has_succeeded(&self, had_failed: bool) {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.is_behind.send_if_modified(std::mem::take);
        if had_failed {
            quietly(|| tracing::info!(engine = self.url, "changes can be written again"));
            self.fault.send_if_modified(|told| told.take().is_some());
            self.damage.send_if_modified(|told| told.take().is_some());
            self.line.wake();
        }
    }

    /// Has somebody look whether the writer gets on, for as long as it writes. Where a test's clock is paused, it stands
    /// still until all is written, and nothing is late.
    pub(super) fn watch_writer(self: &Arc<Self>) {
        if !self.clock.is_a_tests() && !self.is_watched.swap(true, Ordering::SeqCst) {
            self.look_at_writer_later();
        }
    }

    fn look_at_writer_later(self: &Arc<Self>) {
        let (inner, written) = (Arc::downgrade(self), self.written.load(Ordering::Relaxed));
        let look = move || inner.upgrade().into_iter().for_each(|inner| inner.look_at_writer(written));
        self.threads.checkpointer.run_at(Instant::now() + IN_TIME, look);
    }

    /// So much was written when it was last looked.
    fn look_at_writer(self: &Arc<Self>, written: u64) {
        if !self.guarded().is_writing {
            self.is_watched.store(false, Ordering::SeqCst);
            // Who begins between these two lines is not watched by anybody else.
            if !self.guarded().is_writing || self.is_watched.swap(true, Ordering::SeqCst) {
                return;
            }
        } else if self.written.load(Ordering::Relaxed) == written {
            self.is_behind.send_replace(true);
        }
        self.look_at_writer_later();
    }
}
