//! The builder of a runtime.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zato_core::{IntoDuration, OptionError, Registration, Resource, Resources};

use super::error::Error;
use crate::base::cid;
use crate::bus::core::BusCore;
use crate::bus::observer::Observer;
use crate::config::Config;
use crate::engine;
use crate::engine::Engine;
use crate::record::Hosted;
use crate::registry::Registry;
use crate::registry::builtin;
use crate::settle::join::FanIn;
use crate::worker::idle::Idle;

/// Settings for a [`Runtime`](crate::Runtime), started by [`start`](Self::start).
///
/// ```standalone_crate
/// use std::time::Duration;
/// use zato_core::{Context, Result, service};
/// use zato_runtime::Runtime;
///
/// #[derive(Clone)]
/// struct Greeting(&'static str);
///
/// /// Takes the greeting from what the builder provides.
/// #[service(name = "docs.builder.greet")]
/// async fn greet(_: &Context, name: String, greeting: &Greeting) -> Result<String> {
///     Ok(format!("{}, {name}!", greeting.0))
/// }
///
/// # #[tokio::main] async fn main() -> std::result::Result<(), zato_runtime::Error> {
/// let runtime = Runtime::builder()
///     .engine("memory:")
///     .services([greet::service().erased()])
///     .provide(Greeting("Hello"))
///     .max_running(64)
///     .drain_limit(Duration::from_secs(10))
///     .start()
///     .await?;
/// assert_eq!(runtime.invoke(greet::service(), "Ada").await?, "Hello, Ada!");
/// runtime.shutdown().await
/// # }
/// ```
#[derive(Default)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    engine: Option<String>,
    services: Option<Vec<Registration>>,
    resources: Resources,
    config: Config,
    observer: Option<Arc<dyn Observer>>,
    /// The first setting that cannot be used, which the start reports.
    refused: Option<OptionError>,
    /// The engine, where a door has opened it before the start.
    opened: Option<Arc<dyn Engine>>,
}

impl Builder {
    /// Sets the engine's URL: `memory:` by default.
    pub fn engine(mut self, url: impl Into<String>) -> Self {
        self.engine = Some(url.into());
        self
    }

    /// Provides a resource for the fields of services, which are filled by type.
    ///
    /// Two resources of one type are a fault that the start lists: give each a type of its own.
    pub fn provide<T: Resource>(mut self, resource: T) -> Self {
        self.resources.put(resource);
        self
    }

    /// Provides a resource in place of the one of the same type, if there is one: a test overrides what the program
    /// provides.
    ///
    /// ```
    /// use zato_runtime::Runtime;
    ///
    /// #[derive(Clone)]
    /// struct MailServer(&'static str);
    ///
    /// /// What the program and its tests share.
    /// fn bus() -> zato_runtime::Builder {
    ///     Runtime::builder().services([]).provide(MailServer("smtp.example.com"))
    /// }
    ///
    /// # #[tokio::main] async fn main() -> Result<(), zato_runtime::Error> {
    /// let runtime = bus().replace(MailServer("localhost")).start().await?;
    /// # runtime.shutdown().await
    /// # }
    /// ```
    pub fn replace<T: Resource>(mut self, resource: T) -> Self {
        self.resources.replace(resource);
        self
    }

    /// Announces a resource that [`fulfil`](Self::fulfil) adds before the start.
    #[cfg(feature = "cli")]
    pub(crate) fn promise<T: Resource>(mut self) -> Self {
        self.resources.promise::<T>();
        self
    }

    /// Adds a resource that was announced.
    #[cfg(feature = "cli")]
    pub(crate) fn fulfil<T: Resource>(mut self, resource: T) -> Self {
        self.resources.fulfil(resource);
        self
    }

    /// Runs only these services and the built-in ones, instead of all that are linked.
    ///
    /// Tests share one registry in each binary; this is how one of them runs its own services alone:
    /// `.services([A::service().erased(), B::service().erased()])`.
    pub fn services(mut self, services: impl IntoIterator<Item = Registration>) -> Self {
        self.services = Some(services.into_iter().collect());
        self
    }

    /// Sets the largest request or response, in bytes: 8 MiB by default.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.config.max_payload = bytes;
        self
    }

    /// Sets how many invocations may run at once: 16,384 by default, and at least 1.
    pub fn max_running(mut self, invocations: usize) -> Self {
        self.config.max_running = invocations.max(1);
        self
    }

    /// Sets how many invocations may wait before calls from outside wait for room: 1,000,000 in memory and 100,000,000 on
    /// disk by default, and at least 1. Calls from handlers do not wait: they are accepted up to twice this limit, and
    /// refused above it.
    pub fn max_waiting(mut self, invocations: usize) -> Self {
        self.config.max_waiting = Some(invocations.max(1));
        self
    }

    /// Sets how many bytes of payload may wait before calls from outside wait for room: 1 GiB by default. For calls from
    /// handlers it acts as [`max_waiting`](Self::max_waiting) does.
    pub fn max_waiting_bytes(mut self, bytes: usize) -> Self {
        self.config.max_waiting_bytes = bytes;
        self
    }

    /// Sets how deep a causal tree may grow, callbacks included: 1,000 by default.
    pub fn max_depth(mut self, depth: u32) -> Self {
        self.config.max_depth = depth;
        self
    }

    /// Sets how many ended invocations are kept: 10,000 in memory and 1,000,000 on disk by default.
    pub fn keep_ended(mut self, invocations: usize) -> Self {
        self.config.keep_ended = Some(invocations);
        self
    }

    /// Sets how many bytes of payload the ended invocations may hold in memory: 64 MiB by default.
    pub fn keep_ended_bytes(mut self, bytes: usize) -> Self {
        self.config.keep_ended_bytes = bytes;
        self
    }

    /// Sets how many dead letters are kept: 100,000 by default. In memory their payloads may hold as many bytes as
    /// [`keep_ended_bytes`](Self::keep_ended_bytes) allows.
    pub fn keep_dead(mut self, invocations: usize) -> Self {
        self.config.keep_dead = invocations;
        self
    }

    /// Sets the longest time that ended invocations are kept: a day by default.
    pub fn keep_ended_for(mut self, retention: impl IntoDuration) -> Self {
        let retention = self.duration("keep_ended_for", retention);
        self.config.keep_ended_for = retention.unwrap_or(self.config.keep_ended_for);
        self
    }

    /// Sets the longest time that dead letters are kept: 30 days by default.
    pub fn keep_dead_for(mut self, retention: impl IntoDuration) -> Self {
        let retention = self.duration("keep_dead_for", retention);
        self.config.keep_dead_for = retention.unwrap_or(self.config.keep_dead_for);
        self
    }

    /// Sets how long an idempotency key lives, from the first call under it: a day by default. A key lives at least until
    /// its invocation has ended, and that is found for as long as its key lives.
    pub fn keep_keys(mut self, retention: impl IntoDuration) -> Self {
        let retention = self.duration("keep_keys", retention);
        self.config.keep_keys = retention.unwrap_or(self.config.keep_keys);
        self
    }

    /// Sets how many idempotency keys are kept: 100,000 in memory and 10,000,000 on disk by default. The oldest go first,
    /// except those whose invocations have not ended. In memory a key also goes where what is kept for keys alone holds
    /// more than 64 MiB of payload.
    pub fn max_keys(mut self, most: usize) -> Self {
        self.config.max_keys = Some(most);
        self
    }

    /// Sets the clock of the bus, which a test may set forward or back.
    #[doc(hidden)]
    pub fn clock(mut self, clock: crate::base::clock::Clock) -> Self {
        self.config.clock = clock;
        self
    }

    /// Sets the longest time that a shutdown takes: 25 seconds by default, which is shorter than the 30 seconds after
    /// which most supervisors kill a process. `Duration::MAX` waits as long as it takes.
    pub fn drain_limit(mut self, limit: impl IntoDuration) -> Self {
        let limit = self.duration("drain_limit", limit);
        self.config.drain_limit = limit.unwrap_or(self.config.drain_limit);
        self
    }

    /// Sets the time that a handler has to end by itself before it is dropped, once its invocation is cancelled, and
    /// before the limit of a shutdown: 5 seconds by default.
    pub fn cancel_grace(mut self, grace: impl IntoDuration) -> Self {
        let grace = self.duration("cancel_grace", grace);
        self.config.cancel_grace = grace.unwrap_or(self.config.cancel_grace);
        self
    }

    /// Sets the free space, in bytes, that is reserved on the disk for recording accepted work: 64 MiB by default. While the
    /// disk has less, calls from outside wait and calls from handlers fail.
    pub fn disk_reserve(mut self, bytes: u64) -> Self {
        self.config.disk_reserve = bytes;
        self
    }

    /// Leaves the invocations of earlier processes waiting, for a process that runs them.
    #[cfg(feature = "cli")]
    pub(crate) fn only_new(mut self, is_so: bool) -> Self {
        self.config.only_new = is_so;
        self
    }

    /// Gives receipts before they are true: a bus that breaks its promise, for the test that must find that.
    #[doc(hidden)]
    pub fn acknowledge_before_commit(mut self) -> Self {
        self.config.acknowledges_before_commit = true;
        self
    }

    /// Sets how many waiting invocations of a service a durable engine holds in memory: 4,096 by default, and at least 2.
    #[doc(hidden)]
    pub fn window(mut self, window: usize) -> Self {
        self.config.window = window;
        self
    }

    /// Sets how many workers run invocations: as many as tokio has worker threads by default, and at least 1.
    pub fn workers(mut self, workers: usize) -> Self {
        self.config.workers = Some(workers.max(1));
        self
    }

    /// Sets an observer of everything that happens.
    #[cfg(feature = "cli")]
    pub(crate) fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Reads a duration, or notes that it cannot be read.
    fn duration(&mut self, option: &'static str, duration: impl IntoDuration) -> Option<Duration> {
        match duration.into_duration() {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.refused.get_or_insert(OptionError::Duration { option, error });
                None
            }
        }
    }

    /// Checks the settings, the services, their resources and the engine's URL without running anything.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a duration cannot be read, [`Error::Services`] with all faults of the services,
    /// [`Error::Engine`] if this program has no such engine.
    pub fn check(&self) -> Result<(), Error> {
        self.registry().map(|_| ())
    }

    pub(crate) fn registry(&self) -> Result<Registry, Error> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone().into());
        }
        engine::check(self.engine_url())?;
        let linked = self.services.is_none();
        let users = self.services.clone().unwrap_or_else(|| Registration::linked().copied().collect());
        Ok(Registry::check(&users, &builtin::all(), &self.resources, linked)?)
    }

    /// Opens the engine now: whoever waits for one that another process has asks again.
    #[cfg(feature = "cli")]
    pub(crate) fn open(&mut self) -> Result<(), Error> {
        self.opened = Some(engine::open(self.engine_url(), &self.config)?);
        Ok(())
    }

    #[cfg(feature = "cli")]
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn engine_url(&self) -> &str {
        self.engine.as_deref().unwrap_or("memory:")
    }

    /// The engine's URL, if one was set.
    #[cfg(feature = "cli")]
    pub(crate) fn configured_engine(&self) -> Option<&str> {
        self.engine.as_deref()
    }

    /// The numbers of services that are linked or named, and of built-in ones, whether or not they have faults.
    #[cfg(feature = "cli")]
    pub(crate) fn service_counts(&self) -> (usize, usize) {
        let users = self.services.as_ref().map_or_else(|| Registration::linked().count(), Vec::len);
        (users, builtin::all().len())
    }

    /// Everything that can be made before anything runs.
    pub(crate) fn assemble(self, threads: usize) -> Result<(BusCore, Arc<Idle>), Error> {
        cid::check_random_source().map_err(Error::Random)?;
        let registry = self.registry()?;
        let engine = match &self.opened {
            Some(engine) => engine.clone(),
            None => engine::open(self.engine_url(), &self.config)?,
        };
        let hosted: Vec<_> = registry
            .sorted()
            .into_iter()
            .map(|entry| Hosted {
                name: entry.name,
                concurrency: entry.registration.settings().concurrency,
                priority: entry.registration.settings().priority.unwrap_or_default(),
                rate: entry.registration.settings().rate,
                max_losses: entry.registration.settings().max_losses.unwrap_or(self.config.max_losses),
                formerly: entry.registration.settings().formerly,
            })
            .collect();
        let idle = Arc::new(Idle::new(
            self.config.workers.unwrap_or(threads),
            threads > 1 && engine.wakes_workers(),
        ));
        let ring = idle.clone();
        let fan_in = FanIn { observer: self.observer.clone() };
        engine.announce(&hosted, Arc::new(fan_in), Arc::new(move || ring.wake_one()))?;
        Ok((BusCore::new(self.config, registry, engine, self.observer), idle))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("engine", &self.engine)
            .field("services", &self.services)
            .field("resources", &self.resources)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
