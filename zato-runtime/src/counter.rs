//! The time of day by the processor's counter, one for the process.
//!
//! It is read three times a round, in less than half the time that the system takes to tell it (`quanta`, 10 ns for 35).
//! Once a millisecond it is compared with the wall clock: one that is set is followed a millisecond later.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use zato_core::Moment;

/// For so long, in nanoseconds, the wall clock goes with the processor's counter once they have been compared.
const TRUSTED: u64 = 1_000_000;

/// The time of a CID is told in ticks of no more than so many nanoseconds.
const TICK: u64 = 16;

static DAY: LazyLock<Counter> = LazyLock::new(Counter::new);

/// What time it is.
#[inline]
pub(crate) fn now() -> Moment {
    DAY.now()
}

/// A tick after what had been told at the most when what is told went back; the first moment if it never has.
#[inline]
pub(crate) fn went_back_from() -> Moment {
    Moment::from_nanos(DAY.went_back_from.load(Ordering::Acquire))
}

#[derive(Debug)]
struct Counter {
    clock: quanta::Clock,
    start: u64,
    /// When it was last compared with the wall clock, in nanoseconds from its start on.
    compared_at: AtomicU64,
    /// What time it was at the start, as it was found then: nanoseconds since 1970.
    start_time: AtomicU64,
    /// Written before what is told goes back.
    went_back_from: AtomicU64,
}

impl Counter {
    fn new() -> Self {
        let clock = quanta::Clock::new();
        let start = clock.raw();
        // The first who asks compares.
        let compared_at = AtomicU64::new(0_u64.wrapping_sub(2 * TRUSTED));
        let (start_time, went_back_from) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { clock, start, compared_at, start_time, went_back_from }
    }

    #[inline]
    fn now(&self) -> Moment {
        let since = self.clock.delta_as_nanos(self.start, self.clock.raw());
        if since.wrapping_sub(self.compared_at.load(Ordering::Relaxed)) > TRUSTED {
            return self.compare(since, SystemTime::now);
        }
        Moment::from_nanos(self.start_time.load(Ordering::Acquire).wrapping_add(since))
    }

    /// Reads the wall clock. From now until one has, everybody comes here; what the first has found is told.
    #[cold]
    fn compare(&self, since: u64, wall: impl Fn() -> SystemTime) -> Moment {
        let before = self.start_time.load(Ordering::SeqCst);
        let start_time = Moment::from(wall()).nanos().wrapping_sub(since);
        if start_time < before {
            self.went_back_from.fetch_max(before.wrapping_add(since + TICK), Ordering::SeqCst);
        }
        let (write, read) = (Ordering::SeqCst, Ordering::SeqCst);
        let found = self.start_time.compare_exchange(before, start_time, write, read);
        self.compared_at.store(since, Ordering::Relaxed);
        Moment::from_nanos(found.map_or_else(|other| other, |_| start_time).wrapping_add(since))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn it_goes_with_the_wall_clock() {
        for _ in 0..20 {
            let before = Moment::from(SystemTime::now());
            let told = now();
            let apart = told.nanos().abs_diff(before.nanos());
            assert!(apart < 100_000_000, "{apart} ns apart");
            thread::sleep(Duration::from_micros(300));
        }
    }

    #[test]
    fn it_follows_a_wall_clock_that_is_set_and_says_from_where_it_went_back() {
        let counter = Counter::new();
        let at = |seconds| move || UNIX_EPOCH + Duration::from_secs(seconds);
        let second = 1_000_000_000;
        let went_back_from = || counter.went_back_from.load(Ordering::SeqCst);
        assert_eq!(counter.compare(second, at(100)).nanos(), 100 * second);
        assert_eq!(counter.compare(2 * second, at(200)).nanos(), 200 * second);
        assert_eq!(went_back_from(), 0, "it has only gone on");
        assert_eq!(counter.compare(3 * second, at(50)).nanos(), 50 * second);
        assert_eq!(went_back_from(), 201 * second + TICK, "what it would have told otherwise");
        assert_eq!(counter.compare(4 * second, at(51)).nanos(), 51 * second);
        assert_eq!(went_back_from(), 201 * second + TICK);
    }
}
