//! Rounds on disk: one invocation and its callback, many in flight, beside a bare loop over `rusqlite` that writes the same
//! rows with the same indexes, and shares a sync among all that wait as the engine does.
//!
//! ```console
//! $ cargo bench -p zato-runtime --bench store
//! ```
//!
//! Runs alternate, and what is printed are medians and their ratio: only that travels from machine to machine.
//! `ZATO_BENCH_REPEATS` and `ZATO_BENCH_ROUNDS` make it longer or shorter.

#![allow(clippy::expect_used, reason = "a benchmark that cannot run says so")]

mod measure;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, params};
use tokio::sync::{Semaphore, mpsc, oneshot};
use zato_core::{Context, Result, service};
use zato_runtime::Runtime;

use crate::measure::{setting, spread};

/// How many rounds are under way at once.
const IN_FLIGHT: usize = 256;

const PAYLOAD: &str = "01234567890123456789012345678901";

#[service(name = "bench.echo")]
async fn echo(_: &Context, text: String) -> Result<String> {
    Ok(text)
}

/// Ends rounds.
#[derive(Clone)]
struct Rounds(Arc<Semaphore>);

#[service(name = "bench.done")]
async fn done(_: &Context, _text: String, rounds: &Rounds) -> Result<()> {
    rounds.0.add_permits(1);
    Ok(())
}

fn main() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.expect("tokio starts");
    let (repeats, rounds) = (setting("ZATO_BENCH_REPEATS", 5), setting("ZATO_BENCH_ROUNDS", 30_000));
    let (mut bare, mut bus) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        bare.push(tokio.block_on(run_bare(rounds)));
        bus.push(tokio.block_on(run_bus(rounds)));
    }
    println!("{rounds} rounds, {IN_FLIGHT} in flight, {repeats} times each: median, best and worst");
    let each = |took: Duration| took.as_nanos() / rounds as u128;
    let (bare, bare_best, bare_worst) = spread(&mut bare);
    let (bus, bus_best, bus_worst) = spread(&mut bus);
    println!("bare loop {:>8} ns a round ({}, {})", each(bare), each(bare_best), each(bare_worst));
    println!("sqlite:   {:>8} ns a round ({}, {})", each(bus), each(bus_best), each(bus_worst));
    println!("{:.2} x the rate of the bare loop", bare.as_secs_f64() / bus.as_secs_f64());
}

async fn run_bus(count: usize) -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rounds = Arc::new(Semaphore::new(IN_FLIGHT));
    let runtime = start(&directory.path().join("zato.db"), &rounds).await;
    let began = Instant::now();
    for _ in 0..count {
        rounds.acquire().await.expect("it is not closed").forget();
        let runtime = runtime.clone();
        tokio::spawn(async move {
            runtime.invoke_async("bench.echo", PAYLOAD).callback("bench.done").await.expect("it is accepted");
        });
    }
    let all = u32::try_from(IN_FLIGHT).expect("not that many");
    rounds.acquire_many(all).await.expect("it is not closed").forget();
    let took = began.elapsed();
    runtime.shutdown().await.expect("it ends");
    took
}

async fn start(path: &Path, rounds: &Arc<Semaphore>) -> Runtime {
    Runtime::builder()
        .engine(format!("sqlite:{}", path.display()))
        .services([echo::service().erased(), done::service().erased()])
        .provide(Rounds(rounds.clone()))
        .start()
        .await
        .expect("it starts")
}

/// One of the three steps of a round.
enum Step {
    /// The target is accepted, and started.
    Accept { number: u64 },
    /// It has ended, and its callback is accepted and started.
    Settle { number: u64, callback: u64 },
    /// The callback has ended.
    End { callback: u64 },
}

async fn run_bare(count: usize) -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("zato.db");
    // The tables and indexes are the engine's.
    let runtime = start(&path, &Arc::new(Semaphore::new(0))).await;
    runtime.shutdown().await.expect("it ends");
    let (steps, asked) = mpsc::unbounded_channel();
    let writer = std::thread::spawn(move || write(&path, asked));
    let numbers = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let rounds: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let (steps, numbers) = (steps.clone(), numbers.clone());
            tokio::spawn(async move {
                let step = async |step| {
                    let (answer, answered) = oneshot::channel();
                    steps.send((step, answer)).expect("it is written");
                    answered.await.expect("it is written");
                };
                loop {
                    let number = 2 * numbers.fetch_add(1, Ordering::Relaxed) + 1;
                    if number > 2 * count as u64 {
                        return;
                    }
                    let callback = number + 1;
                    step(Step::Accept { number }).await;
                    step(Step::Settle { number, callback }).await;
                    step(Step::End { callback }).await;
                }
            })
        })
        .collect();
    for round in rounds {
        round.await.expect("it does not panic");
    }
    let took = began.elapsed();
    drop(steps);
    writer.join().expect("it does not panic");
    took
}

/// Writes all that waits in one transaction, and answers it.
fn write(path: &Path, mut asked: mpsc::UnboundedReceiver<(Step, oneshot::Sender<()>)>) {
    let connection = Connection::open(path).expect("it opens");
    connection.busy_timeout(Duration::from_secs(5)).expect("it can be set");
    for (name, value) in [("synchronous", "FULL"), ("temp_store", "MEMORY")] {
        connection.pragma_update(None, name, value).expect("it can be set");
    }
    connection.pragma_update(None, "cache_size", -32_768).expect("it can be set");
    connection.pragma_update(None, "wal_autocheckpoint", 4_096).expect("it can be set");
    while let Some(first) = asked.blocking_recv() {
        let mut answers = Vec::new();
        connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut it| it.execute([])).expect("it begins");
        let mut next = Some(first);
        while let Some((step, answer)) = next {
            make(&connection, &step).expect("it is written");
            answers.push(answer);
            next = asked.try_recv().ok();
        }
        connection.prepare_cached("COMMIT").and_then(|mut it| it.execute([])).expect("it commits");
        for answer in answers {
            let _ = answer.send(());
        }
    }
}

fn make(connection: &Connection, step: &Step) -> rusqlite::Result<()> {
    match step {
        Step::Accept { number } => insert(connection, *number, None),
        Step::Settle { number, callback } => {
            end(connection, *number)?;
            insert(connection, *callback, Some(cid(*number)))
        }
        Step::End { callback } => end(connection, *callback),
    }
}

fn insert(connection: &Connection, number: u64, parent: Option<[u8; 16]>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO invocation (accept, cid, state, service, channel, caller, parent, root, depth, called_at, rank,
            line_at, attempts, failed, losses, started_at, cancel, callbacks, payload_kind, payload)
        VALUES (?1, ?2, 1, ?3, 1, ?3, ?4, ?5, 0, ?6, 0, ?6, 1, 0, 0, ?6, 0, ?7, 1, ?8)";
    let root = parent.unwrap_or_else(|| cid(number));
    let callbacks = parent.is_none().then_some("[\"bench.done\"]");
    let params = params![number, cid(number), 1, parent, root, now(), callbacks, PAYLOAD.as_bytes()];
    connection.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

fn end(connection: &Connection, number: u64) -> rusqlite::Result<()> {
    let sql = "UPDATE invocation SET state = 3, attempts = 1, started_at = ?2, ended_at = ?2, outcome = 0,
            response_kind = 1, response = ?3, failed = 0, losses = 0
        WHERE cid = ?1 AND state < 3";
    let ended = connection.prepare_cached(sql)?.execute(params![cid(number), now(), PAYLOAD.as_bytes()])?;
    assert_eq!(ended, 1, "it ends once");
    Ok(())
}

/// Of version 7, in order.
fn cid(number: u64) -> [u8; 16] {
    let mut cid = [0; 16];
    cid[..6].copy_from_slice(&(1_700_000_000_000 + number / 64).to_be_bytes()[2..]);
    (cid[6], cid[8]) = (0x70, 0x80);
    cid[9..].copy_from_slice(&number.to_be_bytes()[1..]);
    cid
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
    i64::try_from(since.as_nanos()).expect("it is not that late")
}
