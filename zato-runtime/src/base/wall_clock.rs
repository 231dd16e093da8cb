//! The time of day, read from the processor's counter (`quanta`): 10 ns instead of 35 for a system call through the vDSO,
//! three times for each invocation.
//!
//! Each thread compares the counter with the wall clock once a millisecond, and shares nothing with other threads: two
//! threads may disagree by some microseconds, and nothing may order what they did by this time.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::SystemTime;

use zato_core::Moment;

/// The time, in nanoseconds, after which a thread compares the counter with the wall clock again.
const COMPARED_EVERY: u64 = 1_000_000;

/// The longest time, in nanoseconds, that a comparison may take: a thread that was descheduled meanwhile has read two clocks
/// at different times.
const MAX_COMPARISON: u64 = 20_000;

static COUNTER: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);

/// A comparison of the counter with the wall clock.
#[derive(Debug, Clone, Copy)]
struct Compared {
    counter: u64,
    /// Nanoseconds since 1970.
    wall: u64,
}

thread_local! {
    static COMPARED: Cell<Option<Compared>> = const { Cell::new(None) };
}

/// Returns the time of day.
#[inline]
pub(crate) fn now() -> Moment {
    COMPARED.with(|compared| read(compared, || COUNTER.raw(), SystemTime::now))
}

#[inline]
fn read(
    compared: &Cell<Option<Compared>>,
    counter: impl Fn() -> u64,
    wall: impl FnOnce() -> SystemTime,
) -> Moment {
    let before = counter();
    // A counter that has gone back, as between processors that do not agree, is compared again.
    if let Some(last) = compared.get()
        && before >= last.counter
        && let passed = COUNTER.delta_as_nanos(last.counter, before)
        && passed < COMPARED_EVERY
    {
        return Moment::from_nanos(last.wall + passed);
    }
    compare(compared, before, counter, wall)
}

#[cold]
fn compare(
    compared: &Cell<Option<Compared>>,
    before: u64,
    counter: impl Fn() -> u64,
    wall: impl FnOnce() -> SystemTime,
) -> Moment {
    let now = Moment::from(wall());
    let took = COUNTER.delta_as_nanos(before, counter());
    compared.set((took <= MAX_COMPARISON).then_some(Compared { counter: before, wall: now.nanos() }));
    now
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// The time between two readings of the wall clock, whenever the thread is descheduled.
    #[test]
    fn it_goes_with_the_wall_clock() {
        for _ in 0..200_000 {
            let before = Moment::from(SystemTime::now()).nanos();
            let told = now().nanos();
            let after = Moment::from(SystemTime::now()).nanos();
            // A comparison may be `MAX_COMPARISON` off, and a clock is slewed by 500 ppm at the most.
            let range = before - 2 * MAX_COMPARISON..=after + 2 * MAX_COMPARISON;
            assert!(range.contains(&told), "{before} <= {told} <= {after}");
        }
    }

    /// Reads the time where the counter and the wall clock say what a test says, in nanoseconds.
    fn read_at(compared: &Cell<Option<Compared>>, counter: [u64; 2], wall: u64) -> u64 {
        // The counter's unit is the processor's: find the reading that is so many nanoseconds after zero.
        let raw_of = |nanos: u64| {
            (0..64).rev().fold(0_u64, |raw, bit| {
                let next = raw | 1 << bit;
                if COUNTER.delta_as_nanos(0, next) <= nanos { next } else { raw }
            })
        };
        let readings = Cell::new(0);
        let counter = || raw_of(counter[readings.replace(1)]);
        read(compared, counter, || UNIX_EPOCH + Duration::from_nanos(wall)).nanos()
    }

    #[test]
    fn it_follows_a_wall_clock_that_is_set() {
        let compared = Cell::new(None);
        assert_eq!(read_at(&compared, [SECOND, SECOND + 100], 500 * SECOND), 500 * SECOND);
        let told = read_at(&compared, [SECOND + 500_000, 0], 0);
        assert!(told.abs_diff(500 * SECOND + 500_000) < 10, "the counter alone says {told}");
        for (round, set_to) in [(2, 400 * SECOND), (4, 600 * SECOND)] {
            let at = SECOND + round * COMPARED_EVERY;
            assert_eq!(read_at(&compared, [at, at + 100], set_to), set_to);
            assert!(compared.get().is_some_and(|compared| compared.wall == set_to));
        }
    }

    #[test]
    fn a_thread_that_was_descheduled_in_a_comparison_compares_again() {
        let compared = Cell::new(None);
        assert_eq!(read_at(&compared, [SECOND, SECOND + 50_000_000], 500 * SECOND), 500 * SECOND);
        assert!(compared.get().is_none(), "it does not rely on this comparison");
    }

    #[test]
    fn a_counter_that_goes_back_is_compared_again() {
        let compared = Cell::new(None);
        read_at(&compared, [SECOND, SECOND], 500 * SECOND);
        assert_eq!(read_at(&compared, [SECOND - 1_000, SECOND - 900], 500 * SECOND + 1), 500 * SECOND + 1);
        assert!(compared.get().is_some_and(|compared| compared.wall == 500 * SECOND + 1));
    }
}
