//! Millions that wait, and millions that have ended and are kept, on disk. Each step is a process of its own, so that what
//! is measured is what a program has that is started with such a file.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use zato_runtime::Runtime;

use crate::bus::{bus, tasks, tokio};
use crate::interleave::{Contender, interleave};
use crate::place;
use crate::process::{child, resident, tell};
use crate::results::Row;
use crate::scale::Scale;
use crate::services::Ran;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;
use crate::stats::{Spread, each};

/// In this time the end of what has been run is on disk.
const WRITTEN_IN: Duration = Duration::from_millis(100);

/// In this time after a start what waits has been counted, which a thread does beside all else.
const COUNTED_IN: Duration = Duration::from_secs(4);

/// How many rounds are under way at once.
const IN_FLIGHT: usize = 256;

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let counts = |few| [few, scale.backlog / 10, scale.backlog];
    let mut rows = of(scale, "waiting", counts(1_000));
    rows.extend(of(scale, "ended", counts(0)));
    rows
}

/// A file with so many that wait or have ended.
struct Filled {
    arguments: [String; 3],
    count: usize,
    /// Mebibytes that the last run of rounds took.
    resident: Cell<f64>,
    /// Nanoseconds of each of the first rounds after a start.
    first: RefCell<Vec<f64>>,
    _directory: TempDir,
}

impl Filled {
    fn new(word: &str, count: usize) -> Result<Self, String> {
        let directory = place::directory();
        let path = directory.path().join("zato.db").display().to_string();
        let arguments = [path, word.to_owned(), count.to_string()];
        child("fill", &arguments)?;
        // Nothing of it is on its way to the disk any more when others are measured.
        let synced = Command::new("sync").status().map_err(|error| error.to_string())?;
        assert!(synced.success(), "the disk is synced");
        let (resident, first) = (Cell::new(0.0), RefCell::default());
        Ok(Self { arguments, count, resident, first, _directory: directory })
    }

    fn rounds(&self, count: usize) -> Result<f64, String> {
        let told = child("rounds", &[&self.arguments[..], &[count.to_string()]].concat())?;
        self.first.borrow_mut().push(told[0]);
        self.resident.set(told[2]);
        Ok(told[1])
    }
}

fn of(scale: &Scale, word: &str, counts: [usize; 3]) -> Vec<Row> {
    let filled = counts.map(|count| Filled::new(word, count)).into_iter().collect::<Result<Vec<_>, _>>();
    let filled = match filled {
        Ok(filled) => filled,
        Err(why) => return vec![Row::missing(format!("{word}: rounds"), why)],
    };
    let rounds = |file| {
        let measure = move || Filled::rounds(file, scale.disk_rounds);
        Contender::fallible(format!("{word}: rounds"), measure)
    };
    let few = format!("{} {word}", counts[0]);
    let rounds = filled.iter().map(rounds).collect();
    let measured = interleave(scale.repeats.min(5), "ns a round", Some(&few), rounds);
    let mut rows = Vec::new();
    for (row, file) in measured.into_iter().zip(&filled) {
        rows.push(row.at(file.count));
        let first = Spread::of(file.first.take());
        rows.push(
            Row::new(format!("{word}: the first rounds after a start"), "ns a round", first).at(file.count),
        );
        rows.push(Row::once(format!("{word}: resident memory"), "MiB", file.resident.get()).at(file.count));
        if word == "waiting" {
            let name = "waiting: from the start to the first that is run";
            rows.push(match child("restart", &file.arguments) {
                Ok(told) => Row::once(name, "ms", told[0]).at(file.count),
                Err(why) => Row::missing(name, why).at(file.count),
            });
        }
    }
    rows
}

/// Opens a file that keeps as many as have ended, so that sweeping is on.
async fn open(arguments: &[String], rounds: &Rounds, ran: &Ran) -> Runtime {
    let count: usize = arguments[2].parse().expect("a number");
    let engine = format!("sqlite:{}", Path::new(&arguments[0]).display());
    let kept = if arguments[1] == "ended" { count.max(1_000) } else { 1_000_000 };
    bus(&engine, rounds).replace(ran.clone()).keep_ended(kept).start().await.expect("it starts")
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
                runtime.invoke_async("bench.crowd", PLAIN).await.expect("it is accepted");
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

/// Rounds on such a file: nanoseconds of each, at first and when what waits has been counted, and mebibytes of memory.
pub(crate) fn child_rounds(arguments: &[String]) {
    let count: usize = arguments[3].parse().expect("a number");
    tokio().block_on(async {
        let rounds = Rounds::new(IN_FLIGHT);
        let runtime = open(arguments, &rounds, &Ran::default()).await;
        let (began, few) = (Instant::now(), (count / 10).max(1));
        let first = tasks(&runtime, &rounds, few).await;
        while began.elapsed() < COUNTED_IN {
            tasks(&runtime, &rounds, few).await;
        }
        let took = tasks(&runtime, &rounds, count).await;
        let resident = resident() as f64 / f64::from(1 << 20);
        runtime.shutdown().await.expect("it ends");
        tell(&[each(first, few), each(took, count), resident])
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
