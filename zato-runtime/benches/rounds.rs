//! A round: one target and one callback, with a 32-byte string, against two bare spawned tasks.
//!
//! `cargo bench -p zato-runtime --bench rounds` prints medians of interleaved repetitions, and ratios: the
//! machine's mood is in both sides of a ratio. `ZATO_BENCH_REPEATS` and `ZATO_BENCH_ROUNDS` make it longer or
//! shorter.

mod measure;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use zato_core::{Context, Result, service};
use zato_runtime::Runtime;

use crate::measure::{setting, spread};

const IN_FLIGHT: usize = 1_024;

const TEXT: &str = "a payload of thirty-two bytes...";

/// Lets so many rounds be under way, and counts those that ended.
#[derive(Clone)]
struct Rounds {
    places: Arc<Semaphore>,
    ended: Arc<AtomicUsize>,
}

impl Rounds {
    fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(IN_FLIGHT)), ended: Arc::default() }
    }

    fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.places.add_permits(1);
    }

    async fn begin(&self) {
        if let Ok(place) = self.places.acquire().await {
            place.forget();
        }
    }

    async fn all_ended(&self) {
        let _ = self.places.acquire_many(u32::try_from(IN_FLIGHT).unwrap_or(u32::MAX)).await;
    }
}

#[service(name = "bench.target")]
async fn target(_: &Context, text: String) -> Result<String> {
    Ok(text)
}

#[service(name = "bench.callback")]
async fn callback(_: &Context, _text: String, rounds: &Rounds) -> Result<()> {
    rounds.end();
    Ok(())
}

fn main() {
    let (repeats, rounds) = (setting("ZATO_BENCH_REPEATS", 7), setting("ZATO_BENCH_ROUNDS", 200_000));
    println!(
        "{repeats} repetitions of {rounds} rounds, {IN_FLIGHT} in flight; medians, smallest and largest"
    );
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.unwrap_or_else(|error| panic!("tokio does not start: {error}"));
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..repeats {
        times[0].push(tokio.block_on(async { tokio::spawn(spawns(rounds)).await.unwrap_or_default() }));
        times[1].push(tokio.block_on(async { tokio::spawn(bus(rounds, false)).await.unwrap_or_default() }));
        times[2].push(tokio.block_on(async { tokio::spawn(bus(rounds, true)).await.unwrap_or_default() }));
    }
    let [spawns, by_name, typed] = times.map(|mut times| spread(&mut times));
    for (name, (median, least, most)) in
        [("two bare spawns", spawns), ("memory, by name", by_name), ("memory, by handle", typed)]
    {
        let each = |time: Duration| time.as_nanos() / rounds as u128;
        println!(
            "{name:20} {:6} ns a round ({} to {}), {:.2} x two spawns",
            each(median),
            each(least),
            each(most),
            median.as_secs_f64() / spawns.0.as_secs_f64()
        );
    }
}

/// The floor: two tasks, one after the other.
async fn spawns(count: usize) -> Duration {
    let rounds = Rounds::new();
    let began = Instant::now();
    for _ in 0..count {
        rounds.begin().await;
        let rounds = rounds.clone();
        let text = TEXT.to_owned();
        tokio::spawn(async move {
            tokio::spawn(async move {
                drop(text);
                rounds.end();
            });
        });
    }
    rounds.all_ended().await;
    began.elapsed()
}

async fn bus(count: usize, typed: bool) -> Duration {
    let rounds = Rounds::new();
    let services = [target::service().erased(), callback::service().erased()];
    let Ok(runtime) = Runtime::builder().services(services).provide(rounds.clone()).start().await else {
        return Duration::ZERO;
    };
    let began = Instant::now();
    for _ in 0..count {
        rounds.begin().await;
        let accepted = if typed {
            runtime.invoke_async(target::service(), TEXT).callback(callback::service()).await
        } else {
            runtime.invoke_async("bench.target", TEXT).callback("bench.callback").await
        };
        if let Err(error) = accepted {
            eprintln!("refused: {error}");
            rounds.end();
        }
    }
    rounds.all_ended().await;
    let took = began.elapsed();
    let _ = runtime.shutdown().await;
    took
}
