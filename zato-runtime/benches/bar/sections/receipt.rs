//! What one caller waits for a receipt from disk, against one bare commit.

use std::time::{Duration, Instant};

use crate::bus::{bus, on_tokio};
use crate::disk::{Bare, Ended};
use crate::interleave::{Contender, interleave};
use crate::place;
use crate::results::Row;
use crate::rounds::Rounds;
use crate::rounds::TEXT;
use crate::scale::Scale;
use crate::stats::permille;

/// What is between two calls: enough for all that the last one has begun to be on disk; or nothing.
const PAUSE: Duration = Duration::from_millis(5);

/// Many short runs instead of a few: within seconds a disk takes half as long again for the same.
const REPEATS: usize = 5;

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (word, pause) in [("idle", PAUSE), ("closed loop", Duration::ZERO)] {
        let count = if pause.is_zero() { scale.disk_rounds / 100 } else { scale.disk_rounds / 500 };
        let contenders = vec![
            Contender::new(format!("one bare commit, {word}"), move || on_tokio(commits(count, pause))),
            Contender::new(format!("a receipt, {word}"), move || on_tokio(receipts(count, pause))),
        ];
        rows.extend(interleave(
            REPEATS * scale.repeats,
            "µs in the median",
            Some("a bare commit"),
            contenders,
        ));
    }
    rows
}

async fn commits(count: usize, pause: Duration) -> f64 {
    let bare = Bare::open(Ended::Kept).await;
    let mut times = Vec::new();
    for number in 1..=count as u64 {
        tokio::time::sleep(pause).await;
        let called = Instant::now();
        bare.accept(number).await;
        times.push(called.elapsed());
    }
    bare.close();
    median(times)
}

async fn receipts(count: usize, pause: Duration) -> f64 {
    let directory = place::directory();
    let engine = format!("sqlite:{}", directory.path().join("zato.db").display());
    let rounds = Rounds::new(count);
    let runtime = bus(&engine, &rounds).start().await.expect("it starts");
    let mut times = Vec::new();
    for _ in 0..count {
        tokio::time::sleep(pause).await;
        rounds.begin().await;
        let called = Instant::now();
        let call = runtime.invoke_async("bench.target", TEXT).callback("bench.callback");
        call.await.expect("it is accepted");
        times.push(called.elapsed());
    }
    rounds.all_ended().await;
    runtime.shutdown().await.expect("it ends");
    median(times)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    permille(&times, 500) / 1_000.0
}
