//! A time of day, as small as it can be kept.

use std::fmt;
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time of day in eight bytes, to the nanosecond, from 1970 to 2554. What is outside is the first or the last of them.
///
/// ```
/// use std::time::SystemTime;
/// use zato_core::Moment;
///
/// let now = SystemTime::now();
/// assert_eq!(SystemTime::from(Moment::from(now)), now);
/// assert_eq!(size_of::<Option<Moment>>(), 8);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(NonZeroU64);

impl Moment {
    /// So many nanoseconds after the beginning of 1970; the first where there are none.
    #[inline]
    pub fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN))
    }

    /// The duration from `earlier` to this moment; zero if `earlier` is later.
    #[inline]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// Whole milliseconds since 1970.
    #[inline]
    pub fn millis(self) -> u64 {
        self.nanos() / 1_000_000
    }

    /// Nanoseconds since 1970.
    #[inline]
    pub fn nanos(self) -> u64 {
        self.0.get()
    }
}

impl From<SystemTime> for Moment {
    #[inline]
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = since.as_secs().saturating_mul(1_000_000_000).saturating_add(since.subsec_nanos().into());
        Self::from_nanos(nanos)
    }
}

impl From<Moment> for SystemTime {
    #[inline]
    fn from(moment: Moment) -> Self {
        UNIX_EPOCH + Duration::from_nanos(moment.0.get())
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&SystemTime::from(*self), f)
    }
}
