//! The free space on the disk. Calls are refused while it is low; settles and sweeps may use the rest.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::cause::free;
use super::paths::{directory, log};
use crate::engine::contract::StoreFault;

/// How often it is looked how much is left.
pub(in crate::engine::sqlite) const LOOK: Duration = Duration::from_millis(200);

/// What is known of the room on the disk.
pub(in crate::engine::sqlite) struct DiskSpace {
    directory: PathBuf,
    path: PathBuf,
    log: PathBuf,
    /// How many bytes are kept for what must be recorded.
    reserve: u64,
    looked_at: Mutex<Option<Instant>>,
    is_low: AtomicBool,
    /// Whether the log is to be emptied for the room that it holds. Set by who looks, cleared by who empties it.
    wants_log_emptied: AtomicBool,
    /// Whether somebody is about to look whether it is.
    is_asked: AtomicBool,
    /// Whether the log could not be emptied at the last try: then the room that it holds does not count.
    is_log_stuck: AtomicBool,
}

/// What there is to say of the room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Enough,
    /// There is enough once the log is emptied.
    InLog,
    Low,
}

impl Room {
    /// With so many bytes free and in the log, of which so many are to be left.
    fn of(free: u64, log: u64, reserve: u64) -> Self {
        if free >= reserve {
            Self::Enough
        } else if free.saturating_add(log) >= reserve {
            Self::InLog
        } else {
            Self::Low
        }
    }
}

impl DiskSpace {
    pub(in crate::engine::sqlite) fn new(path: &Path, reserve: u64) -> Self {
        let directory = directory(path).to_owned();
        Self {
            directory,
            path: path.to_owned(),
            log: log(path),
            reserve,
            looked_at: Mutex::new(None),
            is_low: AtomicBool::new(false),
            wants_log_emptied: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            is_log_stuck: AtomicBool::new(false),
        }
    }

    /// Something could not be written for want of room.
    pub(in crate::engine::sqlite) fn is_low_now(&self) {
        self.is_low.store(true, Ordering::SeqCst);
        self.wants_log_emptied.store(true, Ordering::SeqCst);
    }

    /// Whether the log is to be emptied. Asked by who will do so now: the next one is told no.
    pub(in crate::engine::sqlite) fn takes_log(&self) -> bool {
        self.is_asked.store(false, Ordering::SeqCst);
        self.wants_log_emptied.swap(false, Ordering::SeqCst)
    }

    /// Whether the log is to be emptied, and nobody has been asked to. Whoever is told so asks somebody, who
    /// [has it](Self::takes_log) or [leaves it](Self::leaves_log) to others.
    pub(in crate::engine::sqlite) fn asks_for_log(&self) -> bool {
        self.wants_log_emptied.load(Ordering::SeqCst) && !self.is_asked.swap(true, Ordering::SeqCst)
    }

    /// Whoever was asked to empty the log leaves it to who writes.
    pub(in crate::engine::sqlite) fn leaves_log(&self) {
        self.is_asked.store(false, Ordering::SeqCst);
    }

    /// The log was emptied, or could not be. The next call looks how much room there is then.
    pub(in crate::engine::sqlite) fn log_emptied(&self, is_empty: bool) {
        self.is_log_stuck.store(!is_empty, Ordering::SeqCst);
        if is_empty {
            *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Whether so little is left that nothing more is taken. Looks at most every [`LOOK`].
    pub(in crate::engine::sqlite) fn is_low(&self) -> bool {
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if looked_at.is_none_or(|at| at.elapsed() >= LOOK) {
            *looked_at = Some(Instant::now());
            let room = self.room();
            if room != Room::Enough {
                self.wants_log_emptied.store(true, Ordering::SeqCst);
            }
            let is_low =
                room == Room::Low || (room == Room::InLog && self.is_log_stuck.load(Ordering::SeqCst));
            if is_low && !self.is_low.swap(true, Ordering::SeqCst) {
                tracing::warn!(
                    file = %self.path.display(), reserve_bytes = self.reserve,
                    "the disk has less free space than `disk_reserve`: new calls wait until it has more"
                );
            } else if !is_low && self.is_low.swap(false, Ordering::SeqCst) {
                tracing::info!(file = %self.path.display(), "the disk has enough free space again");
            }
        }
        self.is_low.load(Ordering::SeqCst)
    }

    fn room(&self) -> Room {
        // Where it cannot be told, the disk will say.
        let Some(free) = free(&self.directory).filter(|free| *free < self.reserve) else {
            return Room::Enough;
        };
        let log = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        Room::of(free, log, self.reserve)
    }

    /// What a caller is told who must not wait.
    pub(in crate::engine::sqlite) fn fault(&self) -> StoreFault {
        StoreFault::new(&format!(
            "there is hardly room on the disk of `{}`: free some, and it goes on by itself",
            self.path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_holds_counts_as_room_until_it_cannot_be_emptied() {
        assert_eq!(Room::of(64, 0, 64), Room::Enough);
        assert_eq!(Room::of(63, 1, 64), Room::InLog);
        assert_eq!(Room::of(60, 3, 64), Room::Low);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        let free = free(directory.path()).expect("it is known");
        // Hardly more than there is: a log of some size makes the difference.
        let space = DiskSpace::new(&path, free + (64 << 20));
        assert!(space.is_low() && space.takes_log() && !space.takes_log());
        let log = std::fs::File::create(log(&path)).expect("it can be made");
        log.set_len(1 << 40).expect("a log with a hole");
        space.log_emptied(true);
        assert!(!space.is_low(), "the log holds enough");
        assert!(space.asks_for_log() && !space.asks_for_log() && space.takes_log());
        space.log_emptied(false);
        *space.looked_at.lock().expect("nobody panics") = None;
        assert!(space.is_low(), "it cannot be had");
    }
}
