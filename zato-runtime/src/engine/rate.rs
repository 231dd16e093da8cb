//! The rate of a service: how many invocations may start in a period.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;
use zato_core::Rate;

/// Says whether one more may start. `100/s` lets a hundred start at once where none has for a second, and then one
/// every ten milliseconds.
///
/// The generic cell rate algorithm: each start moves `arrival` on by one period from now or from where it is, and no start
/// may find it more than a burst ahead of now. It is asked under the engine's lock. Now is tokio's, which a test may pause.
#[derive(Debug)]
pub(super) struct Limiter {
    /// The time between two starts at the full rate.
    period: Duration,
    /// How far ahead of now `arrival` may be: one period less than a burst takes.
    ahead: Duration,
    /// The theoretical arrival time of the next start; written by [`Limiter::take`], and by [`Limiter::last_started`] before
    /// the first start.
    arrival: Instant,
}

impl Limiter {
    /// None where the rate is finer than a nanosecond, which is no limit.
    pub(super) fn new(rate: Rate) -> Option<Self> {
        let burst = NonZeroU32::new(rate.starts)?.get();
        let period = rate.per / burst;
        (!period.is_zero()).then(|| Self { period, ahead: period * (burst - 1), arrival: Instant::now() })
    }

    /// Notes that the last start before the process began was so long ago: the burst was used up then. Where that was as long
    /// ago as a burst takes, or longer, nothing changes.
    pub(super) fn last_started(&mut self, now: Instant, ago: Duration) {
        let used = (self.ahead + self.period).saturating_sub(ago);
        self.arrival = now.checked_add(used).unwrap_or(self.arrival);
    }

    /// Counts one that starts.
    ///
    /// # Errors
    ///
    /// When the next may start, if none may now.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let arrival = self.arrival.max(now);
        if arrival - now > self.ahead {
            return Err(arrival - self.ahead);
        }
        self.arrival = arrival.checked_add(self.period).unwrap_or(arrival);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_may_start_at_once_and_then_one_a_period() {
        let mut limiter = Limiter::new(Rate { starts: 4, per: Duration::from_secs(1) }).expect("a limit");
        let (period, nanosecond) = (Duration::from_millis(250), Duration::from_nanos(1));
        let mut now = Instant::now();
        for _ in 0..4 {
            assert_eq!(limiter.take(now), Ok(()));
        }
        for _ in 0..3 {
            let next = now + period;
            assert_eq!(limiter.take(now), Err(next));
            assert_eq!(limiter.take(next - nanosecond), Err(next));
            assert_eq!(limiter.take(next), Ok(()));
            now = next;
        }
        now += Duration::from_mins(1);
        assert_eq!((0..10).filter(|_| limiter.take(now).is_ok()).count(), 4, "idle time does not save up");
    }

    #[test]
    fn what_started_before_the_process_began_has_used_up_the_burst() {
        let rate = Rate { starts: 4, per: Duration::from_secs(1) };
        let (period, now) = (Duration::from_millis(250), Instant::now());
        let after = |ago| {
            let mut limiter = Limiter::new(rate).expect("a limit");
            limiter.last_started(now, ago);
            limiter
        };
        let mut at_once = after(Duration::ZERO);
        assert_eq!(at_once.take(now), Err(now + period));
        assert_eq!(at_once.take(now + period), Ok(()));
        assert_eq!(at_once.take(now + period), Err(now + 2 * period));
        for (ago, starts) in [(0, 0), (249, 0), (250, 1), (999, 3), (1_000, 4), (100_000, 4)] {
            let mut limiter = after(Duration::from_millis(ago));
            assert_eq!((0..10).filter(|_| limiter.take(now).is_ok()).count(), starts, "{ago} ms ago");
        }
        let mut longest = Limiter::new(Rate { starts: 1, per: Duration::MAX }).expect("a limit");
        longest.last_started(now, Duration::ZERO);
        assert_eq!(longest.take(Instant::now()), Ok(()), "a time that the clock cannot tell is none");
    }

    #[test]
    fn a_rate_finer_than_the_clock_is_no_limit() {
        assert!(Limiter::new(Rate { starts: u32::MAX, per: Duration::from_nanos(1) }).is_none());
    }
}
