//! What time it is: the wall clock, or a test's own time where tokio's clock is paused.
//!
//! The clock of an outcome is the wall clock when it is settled; `started_at` is when the last attempt was taken. Where no
//! test says otherwise it is that of `wall_clock`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};
use zato_core::Moment;

use super::wall_clock;

/// How often the wall clock is looked at while something is due later. It is the one thing that this project does again
/// and again without a reason: nothing that is portable tells of a machine that has slept, or of a clock that was set.
pub(crate) const LOOKS_EVERY: Duration = Duration::from_secs(30);

/// The clock of one runtime.
///
/// Times are kept as wall clock and armed on the monotonic clock. A program whose tokio clock is paused and
/// advanced sees its own time in both.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Anchor>);

#[derive(Debug)]
struct Anchor {
    wall: SystemTime,
    tokio: Instant,
    /// Whether tokio's clock has been seen to differ from the machine's; written by [`Clock::look`] alone.
    is_paused_time: AtomicBool,
    /// By how many nanoseconds a test has set its wall clock; written by [`Clock::set`] alone.
    is_set_by: AtomicI64,
}

impl Clock {
    fn new() -> Self {
        let (wall, tokio) = (SystemTime::now(), Instant::now());
        let (is_paused_time, is_set_by) = (AtomicBool::new(false), AtomicI64::new(0));
        let clock = Self(Arc::new(Anchor { wall, tokio, is_paused_time, is_set_by }));
        clock.look();
        clock
    }

    /// Finds out whether tokio's clock is paused or has been advanced. Called where a test may have done so: after a wait.
    ///
    /// Tokio's clock is the machine's unless a test pauses it, so a reading of it lies between two of the machine's, however
    /// long the thread is descheduled between them.
    pub(crate) fn look(&self) {
        let before = std::time::Instant::now();
        let tokio = Instant::now().into_std();
        if tokio < before || tokio > std::time::Instant::now() {
            self.0.is_paused_time.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it goes as a test says.
    pub(crate) fn is_paused_time(&self) -> bool {
        self.0.is_paused_time.load(Ordering::Relaxed)
    }

    /// The time of day, as it is kept. Between two comparisons with the wall clock, a millisecond apart, it does not
    /// see that this has been set.
    #[inline]
    pub(crate) fn now(&self) -> Moment {
        if self.is_paused_time() { self.system_time().into() } else { wall_clock::now() }
    }

    /// The time of day.
    #[inline]
    pub(crate) fn system_time(&self) -> SystemTime {
        if self.is_paused_time() {
            let is_set_by = self.0.is_set_by.load(Ordering::Relaxed);
            let (wall, by) =
                (self.0.wall + self.0.tokio.elapsed(), Duration::from_nanos(is_set_by.unsigned_abs()));
            return if is_set_by < 0 { wall - by } else { wall + by };
        }
        SystemTime::now()
    }

    /// Sets the wall clock of a test forward, or back: as a person does who sets the clock of a machine, or as a machine
    /// does that has slept. The clock of the machine is left alone.
    #[doc(hidden)]
    pub fn set(&self, by: Duration, is_back: bool) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.0.is_set_by.fetch_add(if is_back { -by } else { by }, Ordering::Relaxed);
    }

    /// When to look whether a time of day has come: when it comes by the clocks as they are now, and every half a minute
    /// until then. The monotonic clock does not go on while a machine sleeps, and does not follow a wall clock that is
    /// set.
    pub(crate) fn look_at(&self, at: SystemTime) -> Instant {
        self.arm(at).min(Instant::now() + LOOKS_EVERY)
    }

    /// Waits until a time of day has come. A look every half a minute has it return soon after a machine has slept.
    pub(crate) async fn reach(&self, at: SystemTime) {
        while !self.has_come_at(self.look_at(at), at).await {}
    }

    /// The same for what may be as late as a machine has slept: it looks when the time comes by the clocks as they are
    /// now, and not before.
    #[cfg(feature = "sqlite")]
    pub(crate) async fn reach_lazily(&self, at: SystemTime) {
        while !self.has_come_at(self.arm(at), at).await {}
    }

    async fn has_come_at(&self, looks_at: Instant, at: SystemTime) -> bool {
        sleep_until(looks_at).await;
        self.look();
        self.system_time() >= at
    }

    /// When a time of day comes, on the monotonic clock; now if it has passed.
    fn arm(&self, at: SystemTime) -> Instant {
        self.look();
        let left = at.duration_since(self.system_time()).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_runs_is_no_tests_however_late_it_is_read() {
        let clock = Clock::new();
        for _ in 0..50 {
            clock.look();
            std::thread::yield_now();
        }
        assert!(!clock.is_paused_time());
    }
}
