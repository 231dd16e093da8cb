//! A step of what has one concurrency key, beside how many wait for the same key.

use std::time::{Duration, Instant};

use zato_runtime::Runtime;

use crate::bus::{bus, tokio};
use crate::interleave::{Contender, interleave};
use crate::place;
use crate::results::Row;
use crate::scale::Scale;
use crate::services::Gate;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;
use crate::stats::each;

/// How many wait for the key.
const WAITING: [usize; 3] = [1, 1_000, 64_000];

/// How many are called at once while the lane is filled.
const AT_ONCE: usize = 1_000;

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for engine in ["memory", "disk"] {
        let steps = if engine == "memory" { scale.rounds / 20 } else { scale.disk_rounds / 20 };
        let name = format!("{engine}: a step of a lane");
        let step = |waiting| {
            let measure = move || each(tokio().block_on(took(engine, waiting, steps)), steps);
            Contender::new(name.clone(), measure)
        };
        let measured = interleave(scale.repeats, "ns a step", Some("one"), WAITING.map(step).into());
        rows.extend(measured.into_iter().zip(WAITING).map(|(row, waiting)| row.at(waiting)));
    }
    rows
}

/// The time of so many steps, each of which starts the first of the lane, waits for its end and puts another at the end
/// of the lane.
async fn took(engine: &str, waiting: usize, steps: usize) -> Duration {
    let (rounds, gate, directory) = (Rounds::new(0), Gate::new(), place::directory());
    let engine = match engine {
        "memory" => "memory:".to_owned(),
        _ => format!("sqlite:{}", directory.path().join("zato.db").display()),
    };
    let runtime = bus(&engine, &rounds).replace(gate.clone()).start().await.expect("it starts");
    for filled in (0..waiting).step_by(AT_ONCE) {
        let calls = (filled..waiting.min(filled + AT_ONCE)).map(|_| {
            let runtime = runtime.clone();
            tokio::spawn(async move { call(&runtime).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.expect("it does not panic");
        }
    }
    let began = Instant::now();
    for _ in 0..steps {
        call(&runtime).await;
        gate.open_once();
        rounds.begin().await;
    }
    let took = began.elapsed();
    runtime.shutdown().await.expect("it ends");
    took
}

async fn call(runtime: &Runtime) {
    let call = runtime.invoke_async("bench.gated", PLAIN).concurrency_key("one key");
    call.await.expect("it is accepted");
}
