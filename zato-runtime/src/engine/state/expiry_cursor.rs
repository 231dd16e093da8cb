//! The position up to which expiries of invocations on disk were read.

use std::time::SystemTime;

/// Where the reading of it stands.
#[derive(Debug, Default)]
pub(in crate::engine) struct ExpiryCursor {
    /// When the first is to be ended of what has not been read.
    first: Option<SystemTime>,
    /// Whether it is being read, or to be.
    is_read: bool,
    /// Set until somebody reads it.
    has_read_request: bool,
    /// When the first is to be ended of what has been written down since that began.
    missed: Option<SystemTime>,
    /// The last that was read, by its time and its accept number, where those after it are to be read next.
    cursor: Option<(SystemTime, u64)>,
}

impl ExpiryCursor {
    /// One is written down that is to be ended then.
    pub(in crate::engine) fn note(&mut self, at: SystemTime) {
        if self.is_read {
            self.missed = self.missed.into_iter().chain([at]).min();
        }
        self.first = self.first.into_iter().chain([at]).min();
        self.cursor = self.cursor.filter(|(last, _)| *last < at);
    }

    /// Has it be read if its time has come.
    pub(super) fn ring(&mut self, now: SystemTime) {
        if !self.is_read && self.first.is_some_and(|first| first <= now) {
            (self.is_read, self.has_read_request) = (true, true);
        }
    }

    /// When that comes.
    pub(super) fn next_ring(&self) -> Option<SystemTime> {
        self.first.filter(|_| !self.is_read)
    }

    /// Whether it is being read, or is to be.
    pub(super) fn is_read(&self) -> bool {
        self.is_read
    }

    /// Whether somebody is to begin reading it.
    pub(in crate::engine) fn has_read_request(&self) -> bool {
        self.has_read_request
    }

    /// Answers, to who reads it, until when and after what.
    pub(in crate::engine) fn take_read_request(&mut self) -> Option<(SystemTime, Option<(SystemTime, u64)>)> {
        if !std::mem::take(&mut self.has_read_request) {
            return None;
        }
        let until = self.first.take()?;
        Some((until, self.cursor))
    }

    /// It was read: up to `last`, where that was not all, and `next` is when the next is to be ended.
    pub(super) fn has_read(&mut self, last: Option<(SystemTime, u64)>, next: Option<SystemTime>) {
        self.is_read = false;
        let missed = self.missed.take();
        self.cursor = last.filter(|(last, _)| missed.is_none_or(|missed| *last < missed));
        self.first = missed.into_iter().chain(next).min();
    }
}
