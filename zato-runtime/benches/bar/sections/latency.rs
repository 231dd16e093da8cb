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
use crate::rounds::TEXT;
use crate::scale::Scale;
use crate::services::target;
use crate::stats::{Spread, paired, permille};

/// Of each thousand, how many were faster.
const PERMILLES: [usize; 4] = [500, 900, 990, 999];

/// Hears of the callback's first line.
#[derive(Clone)]
struct Heard {
    began: Instant,
    /// When it was, in nanoseconds since then; written by the callback.
    at: Arc<AtomicU64>,
    told: Arc<Notify>,
}

impl Heard {
    fn new() -> Self {
        Self { began: Instant::now(), at: Arc::default(), told: Arc::default() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn hear(&self) {
        self.at.store(self.now(), Ordering::Relaxed);
        self.told.notify_one();
    }

    /// Waits for it, and says how long it was from `called` on.
    async fn wait(&self, called: u64) -> Duration {
        self.told.notified().await;
        Duration::from_nanos(self.at.load(Ordering::Relaxed).saturating_sub(called))
    }
}

#[service(name = "bench.heard")]
async fn heard(_: &Context, _text: String, heard: &Heard) -> Result<()> {
    heard.hear();
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
        let called = heard.now();
        call(number).await;
        times.push(heard.wait(called).await);
    }
    times
}

async fn spawns(count: usize) -> Vec<Duration> {
    let heard = Heard::new();
    let call = |_| {
        let (text, ends) = (TEXT.to_owned(), heard.clone());
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
        let _ = to_target.send(TEXT.to_owned());
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
        kept.start(number, "bench.target", Payload::text(TEXT), Some("bench.heard"));
        ready(())
    };
    timed(count, &heard, call).await
}

async fn worker(count: usize) -> Vec<Duration> {
    let heard = Heard::new();
    let worker = keeps(&heard).worker("bench.target", "bench.heard");
    let call = |number| {
        worker.send((uuid(number), Payload::text(TEXT))).expect("it is there");
        ready(())
    };
    timed(count, &heard, call).await
}

async fn bus(count: usize) -> Vec<Duration> {
    let heard = Heard::new();
    let services = [target::service().erased(), self::heard::service().erased()];
    let runtime = Runtime::builder().services(services).provide(heard.clone()).start().await;
    let runtime = runtime.expect("it starts");
    let call = |_| async {
        let call = runtime.invoke_async("bench.target", TEXT).callback("bench.heard");
        call.await.expect("it is accepted");
    };
    let times = timed(count, &heard, call).await;
    runtime.shutdown().await.expect("it ends");
    times
}

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let count = scale.rounds / 4;
    let mut times = [const { Vec::new() }; 5];
    for _ in 0..scale.repeats {
        times[0].push(sorted(on_tokio(spawns(count))));
        times[1].push(sorted(on_tokio(channels(count))));
        times[2].push(sorted(on_tokio(kept(count))));
        times[3].push(sorted(on_tokio(worker(count))));
        times[4].push(sorted(on_tokio(bus(count))));
    }
    let mut rows: Vec<Row> = Vec::new();
    let names = [
        "two bare spawns",
        "two channel hops",
        "two spawns, looked up, caught and kept",
        "one worker, looked up, caught and kept",
        "zato, by name",
    ];
    for (name, runs) in names.into_iter().zip(times) {
        for of in PERMILLES {
            let runs: Vec<_> = runs.iter().map(|times| permille(times, of)).collect();
            let name = format!("{name}, p{}", of as f64 / 10.0);
            let spawns =
                rows.iter().find(|row| row.name.starts_with("two bare") && row.at == Some(of as f64));
            let ratio = spawns.and_then(|row| paired(&runs, &row.runs));
            let note = ratio.map(|ratio| format!("{ratio:.2} x two spawns")).unwrap_or_default();
            rows.push(Row::new(name, "ns", Spread::of(runs.clone())).runs(runs).at(of).note(note));
        }
    }
    rows
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}
