//! What time it is: the wall clock, or a test's own time where tokio's clock is paused.
//!
//! The clock of an outcome is the wall clock when it is settled; `started_at` is when the last attempt was taken. Where no
//! test says otherwise it is the process's `counter`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use zato_core::Moment;

use crate::counter;

/// How far tokio's clock and the machine's may be apart before tokio's is taken for a test's.
const APART: Duration = Duration::from_millis(200);

/// A moment that no clock misses that goes.
const TICK: Duration = Duration::from_micros(1);

/// The clock of one runtime.
///
/// Times are kept as wall clock and armed on the monotonic clock. A program whose tokio clock is paused and
/// advanced sees its own time in both.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Anchor>);

#[derive(Debug)]
struct Anchor {
    wall: SystemTime,
    machine: std::time::Instant,
    tokio: Instant,
    /// Whether tokio's clock has been seen to leave the machine's; written by [`Clock::look`] alone.
    is_a_tests: AtomicBool,
}

impl Clock {
    fn new() -> Self {
        let (machine, tokio) = (std::time::Instant::now(), Instant::now());
        while machine.elapsed() < TICK {
            std::hint::spin_loop();
        }
        Self(Arc::new(Anchor {
            wall: SystemTime::now(),
            machine,
            tokio,
            is_a_tests: AtomicBool::new(tokio.elapsed().is_zero()),
        }))
    }

    /// Looks whether tokio's clock has become a test's. Called where time may have been advanced: after a wait.
    pub(crate) fn look(&self) {
        let Anchor { machine, tokio, is_a_tests, .. } = &*self.0;
        let (before, machine) = (tokio.elapsed(), machine.elapsed());
        if before.abs_diff(machine) <= APART {
            return;
        }
        // A pause of the machine between two looks says nothing about either clock.
        if tokio.elapsed().saturating_sub(before) < Duration::from_millis(1) {
            is_a_tests.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it goes as a test says.
    pub(crate) fn is_a_tests(&self) -> bool {
        self.0.is_a_tests.load(Ordering::Relaxed)
    }

    /// The time of day, as it is kept. Between two comparisons with the wall clock, a millisecond apart, it does not
    /// see that this has been set.
    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        if self.is_a_tests() { self.now().into() } else { counter::now() }
    }

    /// The time of day.
    #[inline]
    pub(crate) fn now(&self) -> SystemTime {
        if self.is_a_tests() {
            return self.0.wall + self.0.tokio.elapsed();
        }
        SystemTime::now()
    }

    /// When a time of day comes, on the monotonic clock; now if it has passed.
    pub(crate) fn arm(&self, at: SystemTime) -> Instant {
        self.look();
        let left = at.duration_since(self.now()).unwrap_or_default();
        let now = Instant::now();
        // What is further away than the clock can tell is as far as it can tell.
        now.checked_add(left).unwrap_or_else(|| now + Duration::from_hours(24 * 365 * 30))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// All clocks are one another's like: what a configuration is compared by is its limits.
impl PartialEq for Clock {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Clock {}
