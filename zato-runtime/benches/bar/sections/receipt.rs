//! What one caller waits for a receipt from disk, against one bare commit.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use zato_runtime::Runtime;

use crate::bus::{bus, on_tokio};
use crate::disk::{Bare, Ended};
use crate::interleave::{Contender, interleave};
use crate::place;
use crate::results::Row;
use crate::scale::Scale;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;
use crate::stats::{Spread, paired, permille};

/// What is between two calls where the engine is idle: enough for all that the last one has begun to be on disk.
const PAUSE: Duration = Duration::from_millis(5);

const UNIT: &str = "µs in the median";

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let mut rows = idle(scale.repeats.min(5), scale.disk_rounds / 200);
    let count = scale.disk_rounds / 20;
    let contenders = vec![
        Contender::new("one bare commit, closed loop", move || on_tokio(commits(count))),
        Contender::new("a receipt, closed loop", move || on_tokio(receipts(count))),
    ];
    rows.extend(interleave(scale.repeats.min(5), UNIT, Some("a bare commit"), contenders));
    rows
}

/// Both in one process, in turn, call by call: within seconds a disk takes half as long again for the same.
fn idle(repeats: usize, count: usize) -> Vec<Row> {
    let (commits, receipts): (Vec<_>, Vec<_>) = (0..repeats).map(|_| on_tokio(in_turn(count))).unzip();
    let ratio = paired(&receipts, &commits).unwrap_or_default();
    let row = |name: &str, runs: Vec<f64>| Row::new(name, UNIT, Spread::of(runs.clone())).runs(runs);
    let receipt = row("a receipt, idle", receipts).note(format!("{ratio:.2} x a bare commit"));
    vec![row("one bare commit, idle", commits), receipt]
}

async fn in_turn(count: usize) -> (f64, f64) {
    let bare = Bare::open(Ended::Kept).await;
    let on_disk = OnDisk::open(count).await;
    let (mut commits, mut receipts) = (Vec::new(), Vec::new());
    for number in 1..=count as u64 {
        tokio::time::sleep(PAUSE).await;
        commits.push(timed(bare.accept(number)).await);
        tokio::time::sleep(PAUSE).await;
        receipts.push(timed(on_disk.call()).await);
    }
    drop(bare.finish());
    on_disk.close().await;
    (median(commits), median(receipts))
}

async fn commits(count: usize) -> f64 {
    let bare = Bare::open(Ended::Kept).await;
    let mut times = Vec::new();
    for number in 1..=count as u64 {
        times.push(timed(bare.accept(number)).await);
    }
    drop(bare.finish());
    median(times)
}

async fn receipts(count: usize) -> f64 {
    let on_disk = OnDisk::open(count).await;
    let mut times = Vec::new();
    for _ in 0..count {
        times.push(timed(on_disk.call()).await);
    }
    on_disk.close().await;
    median(times)
}

async fn timed(answer: impl Future<Output = ()>) -> Duration {
    let called = Instant::now();
    answer.await;
    called.elapsed()
}

/// A bus on a file of its own.
struct OnDisk {
    runtime: Runtime,
    rounds: Rounds,
    _directory: TempDir,
}

impl OnDisk {
    async fn open(count: usize) -> Self {
        let directory = place::directory();
        let engine = format!("sqlite:{}", directory.path().join("zato.db").display());
        let rounds = Rounds::new(count);
        let runtime = bus(&engine, &rounds).start().await.expect("it starts");
        Self { runtime, rounds, _directory: directory }
    }

    /// Answers with the receipt.
    async fn call(&self) {
        self.rounds.begin().await;
        let call = self.runtime.invoke_async("bench.target", PLAIN).callback("bench.callback");
        call.await.expect("it is accepted");
    }

    async fn close(self) {
        self.rounds.all_ended().await;
        self.runtime.shutdown().await.expect("it ends");
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    permille(&times, 500) / 1_000.0
}
