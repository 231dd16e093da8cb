//! Bare loops over `rusqlite` that write what the durable engine writes, with as few steps, and share a sync among all
//! that wait as it does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use crate::bus::bus;
use crate::place;
use crate::rounds::{Rounds, TEXT};

/// What becomes of a row whose invocation has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It is kept: the same rows, indexes and columns as the engine's.
    Kept,
    /// It is deleted, from a table that has its key and the payload: the least that a queue can do.
    Deleted,
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

type Asked = (Step, oneshot::Sender<()>);

/// A file with a writer.
pub(crate) struct Bare {
    steps: mpsc::UnboundedSender<Asked>,
    writer: std::thread::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Bare {
    pub(crate) async fn open(ended: Ended) -> Self {
        let directory = place::directory();
        let path = directory.path().join("zato.db");
        if ended == Ended::Kept {
            // The tables and indexes are the engine's.
            let engine = format!("sqlite:{}", path.display());
            let runtime = bus(&engine, &Rounds::new(0)).start().await.expect("it starts");
            runtime.shutdown().await.expect("it ends");
        }
        let (steps, asked) = mpsc::unbounded_channel();
        let writer = std::thread::spawn(move || write(&path, ended, asked));
        Self { steps, writer, _directory: directory }
    }

    pub(crate) fn close(self) {
        drop(self.steps);
        self.writer.join().expect("it does not panic");
    }

    async fn step(&self, step: Step) {
        let (answer, answered) = oneshot::channel();
        self.steps.send((step, answer)).expect("it is written");
        answered.await.expect("it is written");
    }

    /// One invocation is accepted: one bare commit.
    pub(crate) async fn accept(&self, number: u64) {
        self.step(Step::Accept { number }).await;
    }
}

/// So many rounds, and how long they took.
pub(crate) async fn rounds(count: usize, in_flight: usize, ended: Ended) -> Duration {
    let bare = Arc::new(Bare::open(ended).await);
    let numbers = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let rounds: Vec<_> = (0..in_flight)
        .map(|_| {
            let (bare, numbers) = (bare.clone(), numbers.clone());
            tokio::spawn(async move {
                loop {
                    let number = 2 * numbers.fetch_add(1, Ordering::Relaxed) + 1;
                    if number > 2 * count as u64 {
                        return;
                    }
                    let callback = number + 1;
                    bare.step(Step::Accept { number }).await;
                    bare.step(Step::Settle { number, callback }).await;
                    bare.step(Step::End { callback }).await;
                }
            })
        })
        .collect();
    for round in rounds {
        round.await.expect("it does not panic");
    }
    let took = began.elapsed();
    Arc::into_inner(bare).expect("all rounds have ended").close();
    took
}

/// Writes all that waits in one transaction, and answers it.
fn write(path: &Path, ended: Ended, mut asked: mpsc::UnboundedReceiver<Asked>) {
    let connection = open(path, ended).expect("it opens");
    while let Some(first) = asked.blocking_recv() {
        let mut answers = Vec::new();
        connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut it| it.execute([])).expect("it begins");
        let mut next = Some(first);
        while let Some((step, answer)) = next {
            make(&connection, ended, &step).expect("it is written");
            answers.push(answer);
            next = asked.try_recv().ok();
        }
        connection.prepare_cached("COMMIT").and_then(|mut it| it.execute([])).expect("it commits");
        for answer in answers {
            let _ = answer.send(());
        }
    }
}

fn open(path: &Path, ended: Ended) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    for (name, value) in [("synchronous", "FULL"), ("temp_store", "MEMORY")] {
        connection.pragma_update(None, name, value)?;
    }
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_096)?;
    if ended == Ended::Deleted {
        connection
            .execute_batch("CREATE TABLE waiting (number INTEGER PRIMARY KEY, cid BLOB, payload BLOB)")?;
    }
    Ok(connection)
}

fn make(connection: &Connection, ended: Ended, step: &Step) -> rusqlite::Result<()> {
    match (ended, step) {
        (Ended::Kept, Step::Accept { number }) => insert(connection, *number, None),
        (Ended::Kept, Step::Settle { number, callback }) => {
            end(connection, *number)?;
            insert(connection, *callback, Some(cid(*number)))
        }
        (Ended::Kept, Step::End { callback }) => end(connection, *callback),
        (Ended::Deleted, Step::Accept { number }) => add(connection, *number),
        (Ended::Deleted, Step::Settle { number, callback }) => {
            remove(connection, *number)?;
            add(connection, *callback)
        }
        (Ended::Deleted, Step::End { callback }) => remove(connection, *callback),
    }
}

fn add(connection: &Connection, number: u64) -> rusqlite::Result<()> {
    let mut sql = connection.prepare_cached("INSERT INTO waiting VALUES (?1, ?2, ?3)")?;
    sql.execute(params![number, cid(number), TEXT.as_bytes()]).map(drop)
}

fn remove(connection: &Connection, number: u64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM waiting WHERE number = ?1")?.execute([number]).map(drop)
}

fn insert(connection: &Connection, number: u64, parent: Option<[u8; 16]>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO invocation (accept, cid, state, service, channel, caller, parent, root, depth, called_at, rank,
            line_at, attempts, failed, losses, started_at, cancel, callbacks, payload_kind, payload)
        VALUES (?1, ?2, 1, ?3, 1, ?3, ?4, ?5, 0, ?6, 0, ?6, 1, 0, 0, ?6, 0, ?7, 1, ?8)";
    let root = parent.unwrap_or_else(|| cid(number));
    let callbacks = parent.is_none().then_some("[\"bench.callback\"]");
    let params = params![number, cid(number), 1, parent, root, now(), callbacks, TEXT.as_bytes()];
    connection.prepare_cached(sql)?.execute(params).map(drop)
}

fn end(connection: &Connection, number: u64) -> rusqlite::Result<()> {
    let sql = "UPDATE invocation SET state = 3, attempts = 1, started_at = ?2, ended_at = ?2, outcome = 0,
            response_kind = 1, response = ?3, failed = 0, losses = 0
        WHERE cid = ?1 AND state < 3";
    let ended = connection.prepare_cached(sql)?.execute(params![cid(number), now(), TEXT.as_bytes()])?;
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
