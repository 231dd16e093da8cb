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
    let (now, compared) = read(COMPARED.get(), || COUNTER.raw(), SystemTime::now);
    if let Some(compared) = compared {
        COMPARED.set(compared);
    }
    now
}

/// Returns the time, and what the thread remembers from now on if that has changed.
#[inline]
fn read(
    compared: Option<Compared>,
    counter: impl Fn() -> u64,
    wall: impl FnOnce() -> SystemTime,
) -> (Moment, Option<Option<Compared>>) {
    let before = counter();
    // A counter that has gone back, as between processors that do not agree, gives an enormous difference.
    if let Some(last) = compared
        && let passed = COUNTER.delta_as_nanos(last.counter, before)
        && before >= last.counter
        && passed < COMPARED_EVERY
    {
        return (Moment::from_nanos(last.wall + passed), None);
    }
    compare(before, counter, wall)
}

#[cold]
fn compare(
    before: u64,
    counter: impl Fn() -> u64,
    wall: impl FnOnce() -> SystemTime,
) -> (Moment, Option<Option<Compared>>) {
    let now = Moment::from(wall());
    let took = COUNTER.delta_as_nanos(before, counter());
    let compared = (took <= MAX_COMPARISON).then_some(Compared { counter: before, wall: now.nanos() });
    (now, Some(compared))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

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

    /// Counter readings and a wall clock as a test says, in nanoseconds.
    fn read_at(compared: Option<Compared>, counter: [u64; 2], wall: u64) -> (u64, Option<Option<Compared>>) {
        let raw_of = |nanos: u64| {
            // The counter's unit is the processor's: find the reading that is so many nanoseconds after zero.
            (0..64).rev().fold(0_u64, |raw, bit| {
                let next = raw | 1 << bit;
                if COUNTER.delta_as_nanos(0, next) <= nanos { next } else { raw }
            })
        };
        let readings = Cell::new(0);
        let counter = || {
            let raw = raw_of(counter[readings.get()]);
            readings.set(1);
            raw
        };
        let (now, compared) = read(compared, counter, || UNIX_EPOCH + Duration::from_nanos(wall));
        (now.nanos(), compared)
    }

    #[test]
    fn it_follows_a_wall_clock_that_is_set() {
        let start = 1_000_000_000;
        let (now, compared) = read_at(None, [start, start + 100], 500 * start);
        let compared = compared.expect("it is compared first");
        assert_eq!(now, 500 * start);
        let (now, again) = read_at(compared, [start + 500_000, 0], 0);
        assert!(again.is_none() && now.abs_diff(500 * start + 500_000) < 10, "the counter alone: {now}");
        for set_to in [400 * start, 600 * start] {
            let (now, again) = read_at(compared, [start + 1_100_000, start + 1_100_100], set_to);
            assert_eq!(now, set_to);
            assert!(again.flatten().is_some_and(|again| again.wall == set_to));
        }
    }

    #[test]
    fn a_thread_that_was_descheduled_in_a_comparison_compares_again() {
        let start = 1_000_000_000;
        let (now, compared) = read_at(None, [start, start + 50_000_000], 500 * start);
        assert_eq!(now, 500 * start);
        assert!(compared.expect("it is compared first").is_none(), "it does not rely on this comparison");
    }

    #[test]
    fn a_counter_that_goes_back_is_compared_again() {
        let start = 1_000_000_000;
        let compared = read_at(None, [start, start], 500 * start).1.expect("it is compared first");
        let (now, again) = read_at(compared, [start - 1_000, start - 900], 500 * start + 1);
        assert_eq!(now, 500 * start + 1);
        assert!(again.flatten().is_some());
    }
}
