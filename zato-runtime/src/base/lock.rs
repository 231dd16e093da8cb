//! A mutex for locks that are held for a fraction of a microsecond: it spins for a moment before it sleeps.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// How often a thread looks whether a lock is free before it goes to sleep: some microseconds.
const LOOKS: u32 = 200;

/// Takes a lock under which nothing panics, so that a poisoned one guards what is whole. A thread that goes to sleep for it
/// costs many times what it is held for: whoever finds it taken looks again for a while.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..LOOKS {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
