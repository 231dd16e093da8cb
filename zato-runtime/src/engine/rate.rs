//! A service's rate: how many may start in a stretch of time.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;
use zato_core::Rate;

/// Says whether one more may start. `100/s` lets a hundred start at once where none has for a second, and then one
/// every ten milliseconds.
pub(super) struct Limiter {
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>,
    began: Instant,
}

/// Time since the limiter was made, on tokio's clock, which a test may pause.
#[derive(Debug, Clone)]
struct Ticks(Instant);

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Limiter {
    /// None where the rate is finer than a nanosecond, which is no limit.
    pub(super) fn new(rate: Rate) -> Option<Self> {
        let burst = NonZeroU32::new(rate.starts)?;
        let quota = Quota::with_period(rate.per / rate.starts)?.allow_burst(burst);
        let began = Instant::now();
        Some(Self { limiter: RateLimiter::direct_with_clock(quota, Ticks(began)), began })
    }

    /// Counts one that starts.
    ///
    /// # Errors
    ///
    /// When the next may start, if none may now.
    pub(super) fn take(&self) -> Result<(), Instant> {
        self.limiter.check().map_err(|not_before| self.began + not_before.earliest_possible())
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").field("began", &self.began).finish_non_exhaustive()
    }
}
