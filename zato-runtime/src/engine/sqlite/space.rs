//! The room on the disk: what comes from callers stops where little is left, which settles and sweeps may use.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::cause::free;
use super::files::directory;
use crate::engine::contract::StoreFault;

/// How often it is looked how much is left.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// What is known of the room on the disk.
pub(super) struct Space {
    directory: PathBuf,
    path: PathBuf,
    /// How many bytes are kept for what must be recorded.
    reserve: u64,
    looked_at: Mutex<Option<Instant>>,
    is_low: AtomicBool,
}

impl Space {
    pub(super) fn new(path: &Path, reserve: u64) -> Self {
        let directory = directory(path).to_owned();
        let (path, looked_at) = (path.to_owned(), Mutex::new(None));
        Self { directory, path, reserve, looked_at, is_low: AtomicBool::new(false) }
    }

    /// Something could not be written for want of room.
    pub(super) fn is_low_now(&self) {
        self.is_low.store(true, Ordering::SeqCst);
    }

    /// Whether so little is left that nothing more is taken. Looks at most every [`LOOK`].
    pub(super) fn is_low(&self) -> bool {
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if looked_at.is_none_or(|at| at.elapsed() >= LOOK) {
            *looked_at = Some(Instant::now());
            // Where it cannot be told, the disk will say.
            let is_low = free(&self.directory).is_some_and(|free| free < self.reserve);
            if is_low && !self.is_low.swap(true, Ordering::SeqCst) {
                tracing::warn!(
                    file = %self.path.display(), reserve_bytes = self.reserve,
                    "there is less room on the disk than is kept in reserve: no more calls are taken until there is"
                );
            } else if !is_low && self.is_low.swap(false, Ordering::SeqCst) {
                tracing::info!(file = %self.path.display(), "there is room on the disk again");
            }
        }
        self.is_low.load(Ordering::SeqCst)
    }

    /// What a caller is told who must not wait.
    pub(super) fn fault(&self) -> StoreFault {
        StoreFault::new(&format!(
            "there is hardly room on the disk of `{}`: free some, and it goes on by itself",
            self.path.display()
        ))
    }
}
