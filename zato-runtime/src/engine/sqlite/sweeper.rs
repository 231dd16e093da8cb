//! Deletes old rows while nothing else is written. It sleeps until the oldest row becomes too old.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::database::Database;
use super::engine::Inner;
use super::thread::caught;
use crate::base::clock::Clock;

/// The least time between two sweeps: what becomes too old meanwhile goes together.
const LEAST: Duration = Duration::from_secs(5);

/// The time between two steps of a sweep, in which others write.
const PAUSE: Duration = Duration::from_millis(20);

/// How long to wait after a step has failed.
const RETRY: Duration = Duration::from_mins(1);

/// How many rows of each class a step looks at.
const STEP: usize = 256;

impl Inner {
    /// Sweeps for as long as the engine is open, when something is due.
    pub(super) fn sweep_in_time(self: &Arc<Self>, clock: Clock) {
        let (inner, mut due) = (Arc::downgrade(self), self.due.subscribe());
        self.tokio.spawn(async move {
            let mut earliest = Instant::now();
            loop {
                let at = *due.borrow_and_update();
                let comes = async {
                    match at {
                        Some(at) => {
                            sleep_until(earliest).await;
                            clock.reach_lazily(at).await;
                        }
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    changed = due.changed() => if changed.is_err() { return },
                    () = comes => {
                        let Some(inner) = inner.upgrade() else { return };
                        let (answer, answered) = oneshot::channel();
                        let sweeps = inner.clone();
                        inner.run(&inner.threads.writer, move || {
                            let _ = answer.send(sweeps.sweep_step());
                        });
                        drop(inner);
                        let pause = match answered.await {
                            Ok(Some(pause)) => pause,
                            Ok(None) => return,
                            // The step panicked, or the engine was closed before it.
                            Err(_) => RETRY,
                        };
                        earliest = Instant::now() + pause;
                    }
                }
            }
        });
    }

    /// It is known what there is to sweep, when the next step looks.
    pub(super) fn sweep_now(&self) {
        self.sweep_at(Some(SystemTime::UNIX_EPOCH));
    }

    /// Something has been written: there may be something to sweep earlier than was known.
    pub(super) fn look_at_age(&self, file: &Database) {
        self.sweep_at(file.due());
    }

    /// Who waits for a time that is later wakes then, and looks.
    fn sweep_at(&self, due: Option<SystemTime>) {
        self.due.send_if_modified(|told| {
            let is_earlier = due.is_some_and(|due| told.is_none_or(|told| due < told));
            if is_earlier {
                *told = due;
            }
            is_earlier
        });
    }

    /// One step. Answers how long to wait before the next at the least; none where the engine is being closed.
    fn sweep_step(self: &Arc<Self>) -> Option<Duration> {
        let mut file = match self.file.try_lock() {
            Ok(file) => file,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            // Who writes sweeps along with it.
            Err(TryLockError::WouldBlock) => return Some(LEAST),
        };
        if self.is_closing.load(Ordering::SeqCst) {
            return None;
        }
        self.tell_counted(&mut file);
        let swept = caught(|| file.sweep(STEP)).unwrap_or_else(|panic| Err(file.panicked(panic)));
        self.look_at_log(&mut file);
        self.due.send_replace(file.due());
        match swept {
            Err(error) => {
                self.let_go(&mut file, &error);
                tracing::warn!(engine = self.url, %error, "retention could not delete old rows; it is retried");
                self.due.send_replace(Some(SystemTime::UNIX_EPOCH));
                Some(RETRY)
            }
            Ok(true) => Some(PAUSE),
            Ok(false) => Some(LEAST),
        }
    }
}
