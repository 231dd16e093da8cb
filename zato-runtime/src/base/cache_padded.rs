//! A value in cache lines of its own, so that a core that writes it does not slow down one that reads its neighbours.

use std::ops::Deref;

/// In lines of the cache of its own: whatever stood in the same would have to come from another core again whenever this
/// is written. Two lines, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

impl<T> Deref for CachePadded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
