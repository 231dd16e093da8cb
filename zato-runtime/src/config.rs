//! The settings of a runtime, and their defaults.

use std::time::Duration;

use zato_core::Backoff;

use crate::base::clock::Clock;

/// The limits that a runtime keeps. Set through [`Builder`](crate::Builder).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest request or response, in bytes: 8 MiB.
    pub max_payload: usize,
    /// The number of invocations that may run at once in this process: 16,384 by default.
    pub max_running: usize,
    /// The number of invocations that may wait before calls from outside wait for room: 1,000,000 in memory and 100,000,000
    /// on disk by default.
    pub max_waiting: Option<usize>,
    /// The bytes of payload that may wait before calls from outside wait for room: 1 GiB by default.
    pub max_waiting_bytes: usize,
    /// The depth to which a causal tree may grow, callbacks included: 1,000 by default.
    pub max_depth: u32,
    /// The number of ended invocations that are kept: 10,000 in memory and 1,000,000 on disk by default.
    pub keep_ended: Option<usize>,
    /// The bytes of payload that ended invocations may hold in memory: 64 MiB by default.
    pub keep_ended_bytes: usize,
    /// The longest time that ended invocations are kept: a day by default.
    pub keep_ended_for: Duration,
    /// The number of dead letters that are kept: 100,000 by default. In memory `keep_ended_bytes` limits their payloads too.
    pub keep_dead: usize,
    /// The longest time that dead letters are kept: 30 days by default.
    pub keep_dead_for: Duration,
    /// The lifetime of an idempotency key: a day from the first call by default.
    pub keep_keys: Duration,
    /// The number of idempotency keys that are kept: 100,000 in memory, 10,000,000 on disk. The oldest go first, except
    /// those whose invocations have not ended.
    pub max_keys: Option<usize>,
    /// The number of times that its process may die during an invocation before it is `Lost`, where neither call nor service
    /// sets one: 3 by default.
    pub max_losses: u32,
    /// The longest time that a shutdown takes: 25 seconds, which is shorter than the 30 seconds after which most
    /// supervisors kill a process.
    pub drain_limit: Duration,
    /// The wait before another attempt where neither call nor service sets one: `1s..1m`, at random between a second and
    /// two, then four and so on, at most a minute.
    pub backoff: Backoff,
    /// The time.
    pub clock: Clock,
    /// The time that a handler has to end by itself once its invocation is cancelled, and before the limit of a
    /// shutdown: 5 seconds.
    pub cancel_grace: Duration,
    /// The free space, in bytes, that is reserved on the disk for recording accepted work: 64 MiB by default. While the disk
    /// has less, no calls are accepted.
    pub disk_reserve: u64,
    /// `true` to leave the invocations of earlier processes waiting.
    pub(crate) only_new: bool,
    /// `true` to acknowledge calls before they are recorded: for the test that must find such a fault.
    #[doc(hidden)]
    pub acknowledges_before_commit: bool,
    /// The number of waiting invocations of a service that a durable engine holds in memory: 4,096 by default.
    #[doc(hidden)]
    pub window: usize,
    /// The number of workers that run invocations: as many as tokio has worker threads by default.
    pub workers: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_payload: 8 << 20,
            max_running: 16_384,
            max_waiting: None,
            max_waiting_bytes: 1 << 30,
            max_depth: 1_000,
            keep_ended: None,
            keep_ended_bytes: 64 << 20,
            keep_ended_for: Duration::from_hours(24),
            keep_dead: 100_000,
            keep_dead_for: Duration::from_hours(24 * 30),
            keep_keys: Duration::from_hours(24),
            max_keys: None,
            max_losses: 3,
            drain_limit: Duration::from_secs(25),
            backoff: Backoff::Exponential { from: Duration::from_secs(1), to: Duration::from_mins(1) },
            clock: Clock::default(),
            cancel_grace: Duration::from_secs(5),
            disk_reserve: 64 << 20,
            only_new: false,
            acknowledges_before_commit: false,
            window: 4_096,
            workers: None,
        }
    }
}

impl Config {
    /// The number of idempotency keys that are kept, in memory or on disk.
    pub(crate) fn max_keys(&self, is_durable: bool) -> usize {
        self.max_keys.unwrap_or(if is_durable { 10_000_000 } else { 100_000 })
    }

    /// The number of invocations that may wait before calls from outside wait for room, in memory or on disk.
    pub(crate) fn max_waiting(&self, is_durable: bool) -> usize {
        self.max_waiting.unwrap_or(if is_durable { 100_000_000 } else { 1_000_000 })
    }
}

/// The number of synchronous calls that may be nested in one another.
pub(crate) const MAX_NESTED: u32 = 64;

/// The number of synchronous calls of one attempt that are recorded.
pub(crate) const MAX_INNER_RECORDED: usize = 1_000;

/// The bytes of payload that those records hold.
pub(crate) const MAX_INNER_BYTES: usize = 8 << 20;
