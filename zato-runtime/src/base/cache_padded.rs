//! What one core writes, apart from what another reads.

use std::ops::Deref;

/// In lines of the cache of its own: whatever stood in the same would have to come from another core again whenever this
/// is written. Two lines, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> Deref for Apart<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
