//! From the call to the callback's first line, one at a time.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use zato_core::{Context, Payload, Result, service};
use zato_runtime::Runtime;

use crate::bus::on_tokio;
use crate::floors::{Boxed, Handler, Kept, uuid};
use crate::results::Row;
use crate::scale::Scale;
use crate::services::target;
use crate::shape::shapes::PLAIN;
use crate::stats::{Spread, paired, permille};

/// Of each thousand, how many were faster.
const PERMILLES: [usize; 4] = [500, 900, 990, 999];

/// Hears of the callback's first line.
#[derive(Clone)]
struct Heard {
    began: Instant,
    /// The time of the call in nanoseconds since then; written by the caller.
    called: Arc<AtomicU64>,
    /// The time of the callback's first line; written by the callback.
    at: Arc<AtomicU64>,
    told: Arc<Notify>,
}

impl Heard {
    fn new() -> Self {
        Self { began: Instant::now(), called: Arc::default(), at: Arc::default(), told: Arc::default() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Notes the time of a call that is about to be made.
    fn call(&self) {
        self.called.store(self.now(), Ordering::Relaxed);
    }

    fn hear(&self) {
        self.at.store(self.now(), Ordering::Relaxed);
        self.told.notify_one();
    }

    /// Waits for the callback, and returns the time from the call to its first line.
    async fn wait(&self) -> Duration {
        self.told.notified().await;
        let [called, at] = [&self.called, &self.at].map(|time| time.load(Ordering::Relaxed));
        Duration::from_nanos(at.saturating_sub(called))
    }
}

#[service(name = "bench.heard")]
async fn heard(_: &Context, _text: String, heard: &Heard) -> Result<()> {
    heard.hear();
    Ok(())
}

/// Calls `bench.target` with a callback. The time is that of this call.
#[service(name = "bench.calls")]
async fn calls(ctx: &Context, text: String, heard: &Heard) -> Result<()> {
    heard.call();
    ctx.invoke_async("bench.target", text).callback("bench.heard").await?;
    Ok(())
}

/// Calls so often, each when the one before has been heard of.
async fn timed<F: Future<Output = ()>>(
    count: usize,
    heard: &Heard,
    call: impl Fn(u64) -> F,
) -> Vec<Duration> {
    let mut times = Vec::with_capacity(count);
    for number in 0..count as u64 {
        heard.call();
        call(number).await;
        times.push(heard.wait().await);
    }
    times
}

async fn spawns(count: usize) -> Vec<Duration> {
    let heard = Heard::new();
    let call = |_| {
        let (text, ends) = (PLAIN.to_owned(), heard.clone());
        tokio::spawn(async move {
            tokio::spawn(async move {
                ends.hear();
                drop(text);
            });
        });
        ready(())
    };
    timed(count, &heard, call).await
}

async fn channels(count: usize) -> Vec<Duration> {
    let heard = Heard::new();
    let (to_target, mut of_target) = mpsc::unbounded_channel::<String>();
    let (to_callback, mut of_callback) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(text) = of_target.recv().await {
            let _ = to_callback.send(text);
        }
    });
    let ends = heard.clone();
    tokio::spawn(async move {
        while let Some(text) = of_callback.recv().await {
            ends.hear();
            drop(text);
        }
    });
    let call = |_| {
        let _ = to_target.send(PLAIN.to_owned());
        ready(())
    };
    timed(count, &heard, call).await
}

fn keeps(heard: &Heard) -> Arc<Kept> {
    let ends = heard.clone();
    let handler = move |text| -> Boxed {
        let ends = ends.clone();
        Box::pin(async move {
            ends.hear();
            text
        })
    };
    let target: Handler = Box::new(|text| Box::pin(async move { text }));
    Kept::new([("bench.target", target), ("bench.heard", Box::new(handler))])
}

async fn kept(count: usize) -> Vec<Duration> {
    let heard = Heard::new();
    let kept = keeps(&heard);
    let call = |number| {
        kept.start(number, "bench.target", Payload::text(PLAIN), Some("bench.heard"));
        ready(())
    };
    timed(count, &heard, call).await
}

async fn worker(count: usize) -> Vec<Duration> {
    let heard = Heard::new();
    let worker = keeps(&heard).worker("bench.target", "bench.heard");
    let call = |number| {
        worker.send((uuid(number), Payload::text(PLAIN))).expect("it is there");
        ready(())
    };
    timed(count, &heard, call).await
}

/// Two bare spawns by a task, which notes the time when it makes the first.
async fn spawns_of_a_task(count: usize) -> Vec<Duration> {
    let heard = Heard::new();
    let call = |_| {
        let (text, caller, ends) = (PLAIN.to_owned(), heard.clone(), heard.clone());
        tokio::spawn(async move {
            caller.call();
            tokio::spawn(async move {
                tokio::spawn(async move {
                    ends.hear();
                    drop(text);
                });
            });
        });
        ready(())
    };
    timed(count, &heard, call).await
}

async fn bus(count: usize) -> Vec<Duration> {
    let bus = Timed::start().await;
    let call = |_| async {
        let call = bus.runtime.invoke_async("bench.target", PLAIN).callback("bench.heard");
        call.await.expect("it is accepted");
    };
    let times = timed(count, &bus.heard, call).await;
    bus.runtime.shutdown().await.expect("it ends");
    times
}

/// The call of a handler, which notes the time when it makes it.
async fn handler_on_bus(count: usize) -> Vec<Duration> {
    let bus = Timed::start().await;
    let call = |_| async {
        bus.runtime.invoke_async("bench.calls", PLAIN).await.expect("it is accepted");
    };
    let times = timed(count, &bus.heard, call).await;
    bus.runtime.shutdown().await.expect("it ends");
    times
}

/// A bus whose callbacks are heard of.
struct Timed {
    runtime: Runtime,
    heard: Heard,
}

impl Timed {
    async fn start() -> Self {
        let heard = Heard::new();
        let services =
            [target::service().erased(), calls::service().erased(), self::heard::service().erased()];
        let runtime = Runtime::builder().services(services).provide(heard.clone()).start().await;
        Self { runtime: runtime.expect("it starts"), heard }
    }
}

/// A name, and a run of so many calls, one after the other.
type Measure = (&'static str, fn(usize) -> Vec<Duration>);

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let measures: [Measure; 5] = [
        ("two bare spawns", |count| on_tokio(spawns(count))),
        ("two channel hops", |count| on_tokio(channels(count))),
        ("two spawns, looked up, caught and kept", |count| on_tokio(kept(count))),
        ("one worker, looked up, caught and kept", |count| on_tokio(worker(count))),
        ("zato, by name", |count| on_tokio(bus(count))),
    ];
    rows(scale, &measures)
}

/// The same for a call that a handler makes.
pub(crate) fn from_a_handler(scale: &Scale) -> Vec<Row> {
    let measures: [Measure; 2] = [
        ("a callback from a task, bare spawns", |count| on_tokio(spawns_of_a_task(count))),
        ("a callback from a handler, zato", |count| on_tokio(handler_on_bus(count))),
    ];
    rows(scale, &measures)
}

fn rows(scale: &Scale, measures: &[Measure]) -> Vec<Row> {
    let count = scale.rounds / 4;
    let mut times = vec![Vec::new(); measures.len()];
    for _ in 0..scale.repeats {
        for (times, (_, measure)) in times.iter_mut().zip(measures) {
            times.push(sorted(measure(count)));
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    for ((name, _), runs) in measures.iter().zip(times) {
        for of in PERMILLES {
            let runs: Vec<_> = runs.iter().map(|times| permille(times, of)).collect();
            let first = rows.iter().find(|row| row.at == Some(of as f64));
            let ratio = first.and_then(|row| paired(&runs, &row.runs));
            let note = ratio.map(|ratio| format!("{ratio:.2} x two spawns")).unwrap_or_default();
            let name = format!("{name}, p{}", of as f64 / 10.0);
            rows.push(Row::new(name, "ns", Spread::of(runs.clone())).runs(runs).at(of).note(note));
        }
    }
    rows
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}
