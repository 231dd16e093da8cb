//! Millions that wait, and millions that have ended and are kept, on disk. Each step is a process of its own, so that what
//! is measured is what a program has that is started with such a file.

use std::path::Path;
use std::time::{Duration, Instant};

use zato_runtime::Runtime;

use crate::bus::{bus, tasks, tokio};
use crate::place;
use crate::process::{child, resident, tell};
use crate::results::Row;
use crate::rounds::{Rounds, TEXT};
use crate::scale::Scale;
use crate::services::Ran;
use crate::stats::each;

/// In this time the end of what has been run is on disk.
const WRITTEN_IN: Duration = Duration::from_millis(100);

/// How many rounds are under way at once.
const IN_FLIGHT: usize = 256;

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (word, few) in [("waiting", 1_000), ("ended", 0)] {
        for count in [few, scale.backlog / 10, scale.backlog] {
            match with(scale, word, count) {
                Ok(of) => rows.extend(of.into_iter().map(|row| row.at(count))),
                Err(why) => rows.push(Row::missing(format!("{word}: rounds"), why).at(count)),
            }
        }
    }
    rows
}

fn with(scale: &Scale, word: &str, count: usize) -> Result<Vec<Row>, String> {
    let directory = place::directory();
    let path = directory.path().join("zato.db").display().to_string();
    let file = [path, word.to_owned(), count.to_string()];
    child("fill", &file)?;
    let rounds = [&file[..], &[scale.disk_rounds.to_string()]].concat();
    let mut runs =
        (0..scale.repeats.min(3)).map(|_| child("rounds", &rounds)).collect::<Result<Vec<_>, _>>()?;
    runs.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let median = &runs[runs.len() / 2];
    let mut rows = vec![
        Row::once(format!("{word}: rounds"), "ns a round", median[0]),
        Row::once(format!("{word}: resident memory"), "MiB", median[1]),
    ];
    if word == "waiting" && count > 0 {
        let restart = child("restart", &file)?;
        rows.push(Row::once("waiting: from the start to the first that is run", "ms", restart[0]));
    }
    Ok(rows)
}

/// Opens a file that keeps as many as have ended, so that sweeping is on.
async fn open(arguments: &[String], rounds: &Rounds, ran: &Ran) -> Runtime {
    let count: usize = arguments[2].parse().expect("a number");
    let engine = format!("sqlite:{}", Path::new(&arguments[0]).display());
    let kept = if arguments[1] == "ended" { count.max(1_000) } else { 1_000_000 };
    bus(&engine, rounds).provide(ran.clone()).keep_ended(kept).start().await.expect("it starts")
}

/// Fills a file: FILE, `waiting` or `ended`, and how many.
pub(crate) fn child_fill(arguments: &[String]) {
    let count: usize = arguments[2].parse().expect("a number");
    tokio().block_on(async {
        let (rounds, ran) = (Rounds::new(1_024), Ran::default());
        let runtime = open(arguments, &rounds, &ran).await;
        if arguments[1] == "waiting" {
            runtime.pause("bench.crowd").await.expect("it is paused");
        }
        for _ in 0..count {
            rounds.begin().await;
            let (runtime, rounds) = (runtime.clone(), rounds.clone());
            tokio::spawn(async move {
                runtime.invoke_async("bench.crowd", TEXT).await.expect("it is accepted");
                rounds.end();
            });
        }
        rounds.all_ended().await;
        // What is still waiting would be run beside the rounds that are measured.
        while arguments[1] == "ended" && ran.count() < count {
            tokio::time::sleep(WRITTEN_IN).await;
        }
        tokio::time::sleep(WRITTEN_IN).await;
        runtime.shutdown().await.expect("it ends");
        tell(&[])
    });
}

/// Rounds on such a file: nanoseconds of each, and mebibytes of memory.
pub(crate) fn child_rounds(arguments: &[String]) {
    let count: usize = arguments[3].parse().expect("a number");
    tokio().block_on(async {
        let rounds = Rounds::new(IN_FLIGHT);
        let runtime = open(arguments, &rounds, &Ran::default()).await;
        tasks(&runtime, &rounds, count / 10).await;
        let took = tasks(&runtime, &rounds, count).await;
        let resident = resident() as f64 / f64::from(1 << 20);
        runtime.shutdown().await.expect("it ends");
        tell(&[each(took, count), resident])
    });
}

/// Milliseconds from the start until the first of what waits is run.
pub(crate) fn child_restart(arguments: &[String]) {
    tokio().block_on(async {
        let ran = Ran::default();
        let began = Instant::now();
        let runtime = open(arguments, &Rounds::new(0), &ran).await;
        runtime.resume("bench.crowd").await.expect("it is resumed");
        while ran.count() == 0 {
            tokio::task::yield_now().await;
        }
        tell(&[began.elapsed().as_secs_f64() * 1_000.0])
    });
}
