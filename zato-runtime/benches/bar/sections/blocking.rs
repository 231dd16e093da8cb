//! One handler that holds its thread for 100 ms, again and again, and what others feel of it.

use std::time::{Duration, Instant};

use crate::bus::{bus, tokio};
use crate::results::Row;
use crate::scale::Scale;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;
use crate::stats::{Spread, permille};

/// How long others are called.
const FOR: Duration = Duration::from_millis(1_500);

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, blocks) in [("nothing blocks", false), ("one blocks for 100 ms at a time", true)] {
        let runs: Vec<_> = (0..scale.repeats.min(3)).map(|_| others(blocks)).collect();
        for (of, word) in [(500, "p50"), (990, "p99"), (999, "p99.9"), (1_000, "longest")] {
            let spread = Spread::of(runs.iter().map(|times| permille(times, of) / 1_000.0).collect());
            rows.push(Row::new(format!("{name}, {word}"), "µs a synchronous call", spread));
        }
    }
    rows
}

/// How long others took, called one after the other from a thread that is no worker.
fn others(blocks: bool) -> Vec<Duration> {
    tokio().block_on(async {
        let runtime = bus("memory:", &Rounds::new(0)).start().await.expect("it starts");
        let began = Instant::now();
        let mut times = Vec::new();
        let mut blocked = Duration::ZERO;
        while began.elapsed() < FOR {
            if blocks && began.elapsed() >= blocked {
                runtime.invoke_async("bench.block", ()).await.expect("it is accepted");
                blocked = began.elapsed() + Duration::from_millis(110);
            }
            let called = Instant::now();
            runtime.invoke("bench.target", PLAIN).await.expect("it responds");
            times.push(called.elapsed());
        }
        runtime.shutdown().await.expect("it ends");
        times.sort_unstable();
        times
    })
}
