//! The hot paths, each as a number of rounds on one thread, so that the same happens each time.

use std::cell::Cell;
use std::sync::Arc;

use tokio::sync::Semaphore;
use zato_core::{Context, Result, service};
use zato_runtime::Runtime;

use crate::shape::rounds::Rounds;
use crate::shape::services;
use crate::shape::shapes::{Does, SHAPES, Shape};

/// How many rounds go before those that are counted.
const WARM_UP: usize = 256;

/// How much of what has ended is kept: what is counted forgets as much as it adds.
const KEPT: usize = 64;

/// How many rounds are under way at once in memory.
const IN_FLIGHT: usize = 64;

/// The size of a large payload.
pub(crate) const LARGE: usize = 8 << 20;

/// How many wait for the concurrency key of a lane.
const IN_LANE: usize = 2_048;

const PAYLOAD: &str = "a payload of thirty-two bytes...";

/// What a program does again and again.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Path {
    /// A target and a callback, both by name.
    ByName,
    /// The same by typed handles.
    Typed,
    /// A target alone.
    NoCallback,
    /// A call whose service is paused.
    Intake,
    /// A member of a group of 64, with its share of the group.
    FanOut,
    /// A target and a callback on disk, one at a time.
    Sqlite,
    /// A step of a long lane: the first of those with one concurrency key ends, and another comes.
    Lane,
    /// The same on disk, one at a time.
    SqliteLane,
    /// A call with a payload of 8 MiB, of which copies are counted.
    Large,
    /// A call from outside, with a callback, and everything that it causes.
    Shape(Engine, Shape),
}

/// The engine of a shape.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Engine {
    Memory,
    Sqlite,
}

impl Path {
    /// All paths whose instructions and allocations are counted. The shape in which no handler calls is `ByName`.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![
            Self::ByName,
            Self::Typed,
            Self::NoCallback,
            Self::Intake,
            Self::FanOut,
            Self::Sqlite,
            Self::Lane,
            Self::SqliteLane,
        ];
        let calls = SHAPES.into_iter().filter(|shape| shape.does != Does::Responds);
        all.extend(calls.map(|shape| Self::Shape(Engine::Memory, shape)));
        let on_disk = SHAPES.into_iter().filter(|shape| shape.name == "all");
        all.extend(on_disk.map(|shape| Self::Shape(Engine::Sqlite, shape)));
        all
    }

    pub(crate) fn name(self) -> String {
        let name = match self {
            Self::ByName => "memory, by name",
            Self::Typed => "memory, by handle",
            Self::NoCallback => "memory, no callback",
            Self::Intake => "memory, intake alone",
            Self::FanOut => "memory, a member of a group",
            Self::Sqlite => "sqlite, by name",
            Self::Lane => "memory, a step of a lane",
            Self::SqliteLane => "sqlite, a step of a lane",
            Self::Large => "memory, 8 MiB",
            Self::Shape(Engine::Memory, shape) => return format!("memory, {}", shape.title),
            Self::Shape(Engine::Sqlite, shape) => return format!("sqlite, {}", shape.title),
        };
        name.to_owned()
    }

    fn is_on_disk(self) -> bool {
        matches!(self, Self::Sqlite | Self::SqliteLane | Self::Shape(Engine::Sqlite, _))
    }

    /// Goes through so many rounds, and says by how much `counter` has grown meanwhile, a round.
    pub(crate) fn count(self, rounds: usize, counter: impl Fn() -> u64) -> f64 {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let tokio = tokio.expect("tokio starts");
        let bench = tokio.block_on(async {
            let bench = Bench::start(self).await;
            bench.go(self, if self == Self::Large { 16 } else { WARM_UP }).await;
            bench
        });
        let before = counter();
        counted_rounds(&tokio, &bench, self, rounds);
        let grown = counter() - before;
        tokio.block_on(bench.runtime.shutdown()).expect("it ends");
        f64::from(u32::try_from(grown).expect("not that many"))
            / f64::from(u32::try_from(rounds).expect("nor these"))
    }
}

/// Who counts instructions is told this name, and counts what happens in here.
#[inline(never)]
fn counted_rounds(tokio: &tokio::runtime::Runtime, bench: &Bench, path: Path, rounds: usize) {
    tokio.block_on(bench.go(path, rounds));
}

/// Hears of rounds that have ended.
#[derive(Clone)]
struct Ended(Arc<Semaphore>);

impl Ended {
    async fn wait(&self, rounds: usize) {
        let rounds = u32::try_from(rounds).expect("not that many");
        self.0.acquire_many(rounds).await.expect("it is not closed").forget();
    }
}

#[service(name = "guard.target")]
async fn target(_: &Context, text: String) -> Result<String> {
    Ok(text)
}

#[service(name = "guard.callback")]
async fn callback(_: &Context, _text: String, ended: &Ended) -> Result<()> {
    ended.0.add_permits(1);
    Ok(())
}

#[service(name = "guard.large")]
async fn large(_: &Context, _payload: zato_core::Payload, ended: &Ended) -> Result<()> {
    ended.0.add_permits(1);
    Ok(())
}

#[service(name = "guard.final")]
async fn last(_: &Context, _all: zato_core::Payload, ended: &Ended) -> Result<()> {
    ended.0.add_permits(IN_FLIGHT);
    Ok(())
}

/// Lets as many handlers of a lane end as it is opened for.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

#[service(name = "guard.gated")]
async fn gated(_: &Context, _text: String, gate: &Gate, ended: &Ended) -> Result<()> {
    gate.0.acquire().await?.forget();
    ended.0.add_permits(1);
    Ok(())
}

struct Bench {
    runtime: Runtime,
    ended: Ended,
    /// Those of a shape. The caller begins no more than are waited for.
    rounds: Rounds,
    /// The number of calls of a shape.
    called: Cell<usize>,
    gate: Gate,
    large: String,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn start(path: Path) -> Self {
        let ended = Ended(Arc::new(Semaphore::new(0)));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let engine = if path.is_on_disk() {
            format!("sqlite:{}", directory.path().join("zato.db").display())
        } else {
            "memory:".to_owned()
        };
        let guards = [
            target::service().erased(),
            callback::service().erased(),
            last::service().erased(),
            large::service().erased(),
            gated::service().erased(),
        ];
        let gate = Gate(Arc::new(Semaphore::new(0)));
        let rounds = Rounds::new(IN_FLIGHT);
        let builder = Runtime::builder().engine(engine).services(guards.into_iter().chain(services::all()));
        let builder = builder.provide(ended.clone()).provide(rounds.clone()).provide(gate.clone());
        let builder = builder.keep_ended(KEPT).drain_limit(std::time::Duration::from_millis(1));
        let runtime = builder.start().await.expect("it starts");
        if path == Path::Intake {
            runtime.pause("guard.target").await.expect("it is paused");
        }
        if matches!(path, Path::Lane | Path::SqliteLane) {
            let call = |_| {
                let runtime = runtime.clone();
                tokio::spawn(async move { call_gated(&runtime).await })
            };
            for call in (0..IN_LANE).map(call).collect::<Vec<_>>() {
                call.await.expect("it does not panic");
            }
        }
        let large = "x".repeat(if path == Path::Large { LARGE } else { 0 });
        let called = Cell::new(0);
        Self { runtime, ended, rounds, called, gate, large, _directory: directory }
    }

    async fn go(&self, path: Path, rounds: usize) {
        let at_once = if path.is_on_disk() || path == Path::Large { 1 } else { IN_FLIGHT };
        assert_eq!(rounds % at_once, 0, "rounds come in batches of {at_once}");
        for _ in 0..rounds / at_once {
            self.batch(path, at_once).await;
        }
    }

    async fn batch(&self, path: Path, rounds: usize) {
        let runtime = &self.runtime;
        if let Path::Shape(_, shape) = path {
            return self.shape(shape, rounds).await;
        }
        if path == Path::FanOut {
            let targets = [("guard.target", PAYLOAD); IN_FLIGHT];
            runtime.fan_out(targets).on_final("guard.final").await.expect("it is accepted");
            return self.ended.wait(rounds).await;
        }
        if matches!(path, Path::Lane | Path::SqliteLane) {
            for _ in 0..rounds {
                call_gated(runtime).await;
            }
            self.gate.0.add_permits(rounds);
            return self.ended.wait(rounds).await;
        }
        for _ in 0..rounds {
            let accepted = match path {
                Path::Typed => {
                    runtime.invoke_async(target::service(), PAYLOAD).callback(callback::service()).await
                }
                Path::NoCallback => runtime.invoke_async("guard.callback", PAYLOAD).await,
                Path::Large => runtime.invoke_async("guard.large", self.large.as_str()).await,
                Path::Intake => runtime.invoke_async("guard.target", PAYLOAD).await,
                _ => runtime.invoke_async("guard.target", PAYLOAD).callback("guard.callback").await,
            };
            accepted.expect("it is accepted");
        }
        if path != Path::Intake {
            self.ended.wait(rounds).await;
        }
    }
}

impl Bench {
    /// Makes so many calls of a shape, and waits for the end of everything that they cause.
    async fn shape(&self, shape: Shape, count: usize) {
        let called = self.called.get();
        for number in called..called + count {
            self.rounds.begin().await;
            let call = self.runtime.invoke_async(services::target(shape.does), shape.text(number));
            call.callback(services::CALLBACK).await.expect("it is accepted");
        }
        self.called.set(called + count);
        self.rounds.all_ended().await;
        self.rounds.ended_beside(shape.beside(called + count) - shape.beside(called)).await;
    }
}

async fn call_gated(runtime: &Runtime) {
    let call = runtime.invoke_async("guard.gated", PAYLOAD).concurrency_key("one key");
    call.await.expect("it is accepted");
}
