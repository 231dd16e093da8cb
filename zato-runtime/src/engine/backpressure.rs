//! Callers from outside that wait for room. They go on in the order in which they came.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, Notify};

use super::contract::Refused;
use super::state::NotTaken;
use crate::record::Accept;

#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// Woken when something that waited was started.
    room: Notify,
    /// Held by the first of those who wait; tokio's lock is fair.
    first: Mutex<()>,
    /// How many wait.
    length: AtomicUsize,
}

impl Waiters {
    /// Whether a newcomer stands behind nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.length.load(Ordering::SeqCst) == 0
    }

    /// There may be room.
    pub(super) fn wake(&self) {
        // Who comes to wait is counted before it looks.
        if !self.is_empty() {
            self.room.notify_one();
        }
    }

    /// There is no use in waiting any more.
    pub(super) fn wake_all(&self) {
        self.room.notify_waiters();
    }

    /// Waits until there is room, in the order of coming.
    pub(super) async fn wait_until(&self, has_room: impl Fn() -> bool) {
        self.length.fetch_add(1, Ordering::SeqCst);
        let _counted = Counted(&self.length);
        let _first = self.first.lock().await;
        loop {
            let room = self.room.notified();
            if has_room() {
                return;
            }
            room.await;
        }
    }

    /// Waits until `take` finds room, for as long as it takes.
    ///
    /// # Errors
    ///
    /// What `take` refuses for good.
    pub(super) async fn wait<T>(
        &self,
        mut accept: Accept,
        take: impl Fn(Accept) -> Result<T, NotTaken>,
    ) -> Result<T, Refused> {
        self.length.fetch_add(1, Ordering::SeqCst);
        let _counted = Counted(&self.length);
        let _first = self.first.lock().await;
        loop {
            let room = self.room.notified();
            match take(accept) {
                Ok(taken) => return Ok(taken),
                Err(NotTaken::Refused(refused)) => return Err(refused),
                Err(NotTaken::NoRoom(back)) => accept = *back,
            }
            room.await;
        }
    }
}

/// One who waits for room, or has given up waiting.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
