//! What waits: how much memory it takes, that it takes no time, and that it stands in nobody's way.
//!
//! `cargo bench -p zato-runtime --bench waiting`. `ZATO_BENCH_WAITING` says how many wait (1,000,000), and
//! `ZATO_BENCH_IDLE_SECONDS` for how long an idle runtime is looked at (5). Memory and context switches are read from
//! `/proc`, so this one is for Linux.

mod measure;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use zato_core::{Context, Result, service};
use zato_runtime::{Error, Runtime};

use crate::measure::{setting, spread};

const TEXT: &str = "a payload of thirty-two bytes...";

#[derive(Clone, Default)]
struct Ran(Arc<AtomicUsize>);

#[service(name = "bench.crowd")]
async fn crowd(_: &Context, _text: String, ran: &Ran) -> Result<()> {
    ran.0.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[service(name = "bench.single")]
async fn single(_: &Context, text: String) -> Result<String> {
    Ok(text)
}

#[service(name = "bench.reply")]
async fn reply(_: &Context, _text: String) -> Result<()> {
    Ok(())
}

async fn start(waiting: usize, ran: &Ran) -> Result<Runtime, Error> {
    Runtime::builder()
        .services([crowd::service().erased(), single::service().erased(), reply::service().erased()])
        .provide(ran.clone())
        .max_waiting(waiting + 1_000)
        .drain_limit(Duration::from_millis(1))
        .start()
        .await
}

fn main() -> Result<(), Error> {
    let waiting = setting("ZATO_BENCH_WAITING", 1_000_000);
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.unwrap_or_else(|error| panic!("tokio does not start: {error}"));
    if let Ok(case) = std::env::var(CASE) {
        let measured = tokio.block_on(memory(waiting, &case));
        // What waits is not worth ending.
        std::process::exit(i32::from(measured.is_err()));
    }
    memory_of_each_case();
    tokio.block_on(async {
        idle(100_000).await?;
        beside(waiting).await
    })
}

/// How what is measured waits.
const CASES: [(&str, bool, bool); 3] =
    [("due", false, false), ("due, with a callback", false, true), ("delayed, with a callback", true, true)];

/// Which case a process of its own measures: freed memory would count for the next.
const CASE: &str = "ZATO_BENCH_CASE";

/// Resident memory for each that waits, with a payload of 32 bytes.
fn memory_of_each_case() {
    for (case, ..) in CASES {
        let program =
            std::env::current_exe().and_then(|program| Command::new(program).env(CASE, case).status());
        if let Err(error) = program {
            println!("{case}: not measured: {error}");
        }
    }
}

async fn memory(waiting: usize, case: &str) -> Result<(), Error> {
    let Some((_, delay, callback)) = CASES.into_iter().find(|(name, ..)| *name == case) else {
        return Ok(());
    };
    let runtime = start(waiting, &Ran::default()).await?;
    runtime.pause(crowd::NAME).await?;
    let before = resident();
    for _ in 0..waiting {
        let call = runtime.invoke_async(crowd::service(), TEXT);
        let call = if delay { call.delay(Duration::from_hours(1)) } else { call };
        let call = if callback { call.callback("bench.reply") } else { call };
        call.await?;
    }
    let each = resident().saturating_sub(before) / waiting;
    println!("memory of one that waits ({case}): {each} bytes, of {waiting}");
    Ok(())
}

/// What an idle runtime does while so many are delayed.
async fn idle(delayed: usize) -> Result<(), Error> {
    let runtime = start(delayed, &Ran::default()).await?;
    for _ in 0..delayed {
        runtime.invoke_async(crowd::service(), TEXT).delay(Duration::from_hours(1)).await?;
    }
    let seconds = setting("ZATO_BENCH_IDLE_SECONDS", 5);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (switches, ticks) = (switches(), ticks());
    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    let (switches, ticks) = (crate::switches() - switches, crate::ticks() - ticks);
    println!(
        "idle for {seconds} s with {delayed} delayed: {switches} context switches, {ticks} ticks of CPU time"
    );
    runtime.shutdown().await
}

/// One service's backlog beside another service that is called once in a while.
async fn beside(waiting: usize) -> Result<(), Error> {
    for backlog in [0, waiting] {
        let ran = Ran::default();
        let runtime = start(waiting, &ran).await?;
        runtime.pause(crowd::NAME).await?;
        for _ in 0..backlog {
            runtime.invoke_async(crowd::service(), TEXT).await?;
        }
        let began = Instant::now();
        runtime.resume(crowd::NAME).await?;
        let mut times = Vec::new();
        while times.len() < 200 || (ran.0.load(Ordering::Relaxed) < backlog && times.len() < 100_000) {
            let called = Instant::now();
            runtime.invoke(single::service(), TEXT).await?;
            times.push(called.elapsed());
        }
        while ran.0.load(Ordering::Relaxed) < backlog {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = began.elapsed();
        let (median, _, longest) = spread(&mut times);
        let p99 = times[times.len() * 99 / 100];
        println!(
            "beside {backlog:7} of another service: {} calls, p50 {median:?}, p99 {p99:?}, longest {longest:?}; the backlog \
             took {took:?}",
            times.len()
        );
        runtime.shutdown().await?;
    }
    Ok(())
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    resident.unwrap_or_default() * 4096
}

/// How often the threads of this process have been switched to.
fn switches() -> usize {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let status = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let count = |status: String| {
        let of = |line: &str| line.split_once("ctxt_switches:")?.1.trim().parse::<usize>().ok();
        status.lines().filter_map(of).sum::<usize>()
    };
    status.map(count).sum()
}

/// The CPU time of this process, in hundredths of a second.
fn ticks() -> usize {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<usize>().ok()).sum()
}
