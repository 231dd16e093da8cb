//! What waits in memory: how much memory it takes, that it takes no time, and that it stands in nobody's way.

use std::time::{Duration, Instant};

use zato_runtime::Runtime;

use crate::bus::{bus, tokio};
use crate::process::{child, resident, switches, tell, ticks};
use crate::results::Row;
use crate::scale::Scale;
use crate::services::Ran;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;
use crate::stats::{Spread, permille};

/// How what is measured waits, and by which number a child is asked for it.
const CASES: [&str; 3] = ["due", "due, with a callback", "delayed, with a callback"];

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (number, case) in CASES.into_iter().enumerate() {
        let name = format!("resident memory of one that waits ({case})");
        rows.push(match child("waiting", &[number.to_string(), scale.waiting.to_string()]) {
            Ok(bytes) => Row::once(name, "bytes", bytes[0]).note(format!("of {}", scale.waiting)),
            Err(why) => Row::missing(name, why),
        });
    }
    // To look takes a few switches too: those that there are with none delayed.
    for delayed in [0, 100_000] {
        let name = format!("idle for {} s with so many delayed", scale.idle_seconds);
        match child("idle", &[delayed.to_string(), scale.idle_seconds.to_string()]) {
            Ok(of) => {
                rows.push(Row::once(format!("{name}: context switches"), "", of[0]).at(delayed));
                rows.push(Row::once(format!("{name}: CPU time"), "ms", of[1] * 10.0).at(delayed));
            }
            Err(why) => rows.push(Row::missing(name, why).at(delayed)),
        }
    }
    for backlog in [0, scale.waiting] {
        rows.extend(tokio().block_on(beside(backlog)));
    }
    rows
}

/// What waits in this process, told as bytes of each.
pub(crate) fn child_waiting(arguments: &[String]) {
    let case: usize = arguments[0].parse().expect("a number");
    let waiting: usize = arguments[1].parse().expect("a number");
    tokio().block_on(async {
        let builder = bus("memory:", &Rounds::new(0)).max_waiting(waiting + 1_000);
        let runtime = builder.start().await.expect("it starts");
        runtime.pause("bench.crowd").await.expect("it is paused");
        let before = resident();
        wait(&runtime, waiting, case == 2, case > 0).await;
        tell(&[resident().saturating_sub(before) as f64 / waiting as f64])
    });
}

/// Context switches and ticks of this process while nothing is due.
pub(crate) fn child_idle(arguments: &[String]) {
    let delayed: usize = arguments[0].parse().expect("a number");
    let seconds: u64 = arguments[1].parse().expect("a number");
    tokio().block_on(async {
        let runtime = bus("memory:", &Rounds::new(0)).start().await.expect("it starts");
        wait(&runtime, delayed, true, false).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = (switches(), ticks());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        tell(&[(switches() - before.0) as f64, (ticks() - before.1) as f64])
    });
}

async fn wait(runtime: &Runtime, waiting: usize, delayed: bool, callback: bool) {
    for _ in 0..waiting {
        let call = runtime.invoke_async("bench.crowd", PLAIN);
        let call = if delayed { call.delay(Duration::from_hours(1)) } else { call };
        let call = if callback { call.callback("bench.callback") } else { call };
        call.await.expect("it is accepted");
    }
}

/// One service's backlog beside another service that is called once in a while.
async fn beside(backlog: usize) -> Vec<Row> {
    let ran = Ran::default();
    let builder = bus("memory:", &Rounds::new(0)).replace(ran.clone()).max_waiting(backlog + 1_000);
    let runtime = builder.start().await.expect("it starts");
    runtime.pause("bench.crowd").await.expect("it is paused");
    wait(&runtime, backlog, false, false).await;
    runtime.resume("bench.crowd").await.expect("it is resumed");
    let mut times = Vec::new();
    while times.len() < 200 || (ran.count() < backlog && times.len() < 100_000) {
        let called = Instant::now();
        runtime.invoke("bench.target", PLAIN).await.expect("it responds");
        times.push(called.elapsed());
    }
    runtime.shutdown().await.expect("it ends");
    times.sort_unstable();
    let row = |word, of| {
        let name = format!("a call beside a backlog of another service, {word}");
        Row::new(name, "µs", Some(Spread::once(permille(&times, of) / 1_000.0))).at(backlog)
    };
    vec![row("p50", 500), row("p99", 990)]
}
