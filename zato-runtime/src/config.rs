//! What can be set, and what holds where nothing was.

use std::time::Duration;

use zato_core::Backoff;

use crate::clock::Clock;

/// The limits that a runtime keeps. Set through [`Builder`](crate::Builder).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest request or response, in bytes: 8 MiB.
    pub max_payload: usize,
    /// How many invocations may run at once in this process: 16,384.
    pub max_running: usize,
    /// How many may wait before calls from outside wait for room: 1,000,000 in memory, 100,000,000 on disk.
    pub max_waiting: Option<usize>,
    /// How many bytes of payload may wait before calls from outside wait for room: 1 GiB.
    pub max_waiting_bytes: usize,
    /// How deep a causal tree may grow, callbacks counted: 1,000.
    pub max_depth: u32,
    /// How many ended invocations are remembered: 10,000 in memory, 1,000,000 on disk.
    pub keep_ended: Option<usize>,
    /// How many bytes of payload they may hold in memory: 64 MiB.
    pub keep_ended_bytes: usize,
    /// How long they are remembered: a day.
    pub keep_ended_for: Duration,
    /// How many dead letters are kept, in memory in as many bytes: 100,000.
    pub keep_dead: usize,
    /// How long they are kept: 30 days.
    pub keep_dead_for: Duration,
    /// How long an idempotency key lives: a day from the first call.
    pub keep_keys: Duration,
    /// The number of idempotency keys that are kept: 100,000 in memory, 10,000,000 on disk. The oldest go first, except
    /// those whose invocations have not ended.
    pub max_keys: Option<usize>,
    /// How often its process may die during an invocation before it is `Lost`, where neither call nor service says: 3.
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
    /// How many bytes on the disk are kept for what must be recorded: with less room than that no calls are taken. 64 MiB.
    pub disk_reserve: u64,
    /// Whether what an earlier process has left is left alone.
    pub(crate) only_new: bool,
    /// Whether receipts are given before they are true.
    #[doc(hidden)]
    pub acknowledges_before_commit: bool,
    /// How many of what waits for a service are held in memory, where all is written down: 4,096.
    #[doc(hidden)]
    pub window: usize,
    /// How many workers take invocations: as many as tokio has worker threads.
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

    /// How many may wait before calls from outside wait for room, in memory or on disk.
    pub(crate) fn max_waiting(&self, is_durable: bool) -> usize {
        self.max_waiting.unwrap_or(if is_durable { 100_000_000 } else { 1_000_000 })
    }
}

/// How many synchronous calls may be nested in one another.
pub(crate) const MAX_NESTED: u32 = 64;

/// How many synchronous calls of one attempt are recorded.
pub(crate) const MAX_INNER_RECORDED: usize = 1_000;

/// How many bytes of payload those records hold.
pub(crate) const MAX_INNER_BYTES: usize = 8 << 20;
