//! What time it is: the wall clock, or a test's own time where tokio's clock is paused.
//!
//! The clock of an outcome is the wall clock when it is settled; `started_at` is when the last attempt was taken. It
//! is read three times a round, so it is the processor's counter (`quanta`, 10 ns for 35), compared with the wall
//! clock once a millisecond: a wall clock that is set is followed a millisecond later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use zato_core::Moment;

/// How far tokio's clock and the machine's may be apart before tokio's is taken for a test's.
const APART: Duration = Duration::from_millis(200);

/// For so long, in nanoseconds, the wall clock goes with the processor's counter once they have been compared.
const TRUSTED: u64 = 1_000_000;

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
    counter: Counter,
}

/// The processor's counter, which is read in less than half the time that the system takes to tell the time of day.
#[derive(Debug)]
struct Counter {
    clock: quanta::Clock,
    start: u64,
    /// When it was last compared with the wall clock, in nanoseconds from its start on.
    compared_at: AtomicU64,
    /// What time it was at the start, as it was found then: nanoseconds since 1970.
    start_time: AtomicU64,
}

impl Counter {
    fn new() -> Self {
        let clock = quanta::Clock::new();
        let start = clock.raw();
        // The first who asks compares.
        let compared_at = AtomicU64::new(0_u64.wrapping_sub(2 * TRUSTED));
        Self { clock, start, compared_at, start_time: AtomicU64::new(0) }
    }

    #[inline]
    fn now(&self) -> Moment {
        let since = self.clock.delta_as_nanos(self.start, self.clock.raw());
        if since.wrapping_sub(self.compared_at.load(Ordering::Relaxed)) > TRUSTED {
            return self.compare(since);
        }
        Moment::from_nanos(self.start_time.load(Ordering::Relaxed).wrapping_add(since))
    }

    /// Reads the wall clock. Who does so at the same time finds the same, but for what the clock was set by.
    #[cold]
    fn compare(&self, since: u64) -> Moment {
        let now = Moment::from(SystemTime::now());
        self.start_time.store(now.nanos().wrapping_sub(since), Ordering::Relaxed);
        self.compared_at.store(since, Ordering::Relaxed);
        now
    }
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
            counter: Counter::new(),
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
        if self.is_a_tests() { self.now().into() } else { self.0.counter.now() }
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
