//! Bare loops over `rusqlite` that write what the durable engine writes, with as few steps, and share a sync among all
//! that wait as it does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, Statement, params};
use tokio::sync::{mpsc, oneshot};

use crate::bus::bus;
use crate::place;
use crate::rounds::{Rounds, TEXT};

/// What becomes of a row whose invocation has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It is kept: the same rows, indexes and columns as the engine's.
    Kept,
    /// So is the last of it, and what is older is deleted with what ends: `KEPT` of them are kept.
    Swept,
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

/// How many that have ended are kept where what is older is swept.
pub(crate) const KEPT: usize = 10_000;

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
        if ended != Ended::Deleted {
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
    let mut statements = Statements::new(&connection, ended).expect("they are SQL");
    while let Some(first) = asked.blocking_recv() {
        let mut answers = Vec::new();
        statements.begin.execute([]).expect("it begins");
        let mut next = Some(first);
        while let Some((step, answer)) = next {
            statements.make(&step).expect("it is written");
            answers.push(answer);
            next = asked.try_recv().ok();
        }
        statements.sweep().expect("it is swept");
        statements.commit.execute([]).expect("it commits");
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

/// What is run again and again.
struct Statements<'c> {
    ended: Ended,
    begin: Statement<'c>,
    commit: Statement<'c>,
    insert: Statement<'c>,
    end: Statement<'c>,
    sweep: Option<Statement<'c>>,
    /// The last that was inserted, and the last that was swept.
    last: u64,
    swept: u64,
}

impl<'c> Statements<'c> {
    fn new(connection: &'c Connection, ended: Ended) -> rusqlite::Result<Self> {
        let (insert, end) = match ended {
            Ended::Kept | Ended::Swept => (
                "INSERT INTO invocation (accept, cid, state, service, channel, caller, parent, root, depth, called_at,
                    rank, line_at, attempts, failed, losses, started_at, cancel, callbacks, payload_kind, payload)
                VALUES (?1, ?2, 1, ?3, 1, ?3, ?4, ?5, 0, ?6, 0, ?6, 1, 0, 0, ?6, 0, ?7, 1, ?8)",
                "UPDATE invocation SET state = 3, attempts = 1, started_at = ?2, ended_at = ?2, outcome = 0,
                    response_kind = 1, response = ?3
                WHERE accept = ?1 AND state < 3",
            ),
            Ended::Deleted => {
                ("INSERT INTO waiting VALUES (?1, ?2, ?3)", "DELETE FROM waiting WHERE number = ?1")
            }
        };
        let sweep = "DELETE FROM invocation WHERE accept BETWEEN ?1 AND ?2";
        Ok(Self {
            ended,
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            commit: connection.prepare("COMMIT")?,
            insert: connection.prepare(insert)?,
            end: connection.prepare(end)?,
            sweep: (ended == Ended::Swept).then(|| connection.prepare(sweep)).transpose()?,
            last: 0,
            swept: 0,
        })
    }

    fn make(&mut self, step: &Step) -> rusqlite::Result<()> {
        match step {
            Step::Accept { number } => self.insert(*number, None),
            Step::Settle { number, callback } => {
                self.end(*number)?;
                self.insert(*callback, Some(cid(*number)))
            }
            Step::End { callback } => self.end(*callback),
        }
    }

    fn insert(&mut self, number: u64, parent: Option<[u8; 16]>) -> rusqlite::Result<()> {
        let payload = TEXT.as_bytes();
        let inserted = match self.ended {
            Ended::Deleted => self.insert.execute(params![number, cid(number), payload])?,
            Ended::Kept | Ended::Swept => {
                let root = parent.unwrap_or_else(|| cid(number));
                let callbacks = parent.is_none().then_some("[\"bench.callback\"]");
                self.insert.execute(params![
                    number,
                    cid(number),
                    1,
                    parent,
                    root,
                    now(),
                    callbacks,
                    payload
                ])?
            }
        };
        assert_eq!(inserted, 1, "it is new");
        self.last = self.last.max(number);
        Ok(())
    }

    fn end(&mut self, number: u64) -> rusqlite::Result<()> {
        let ended = match self.ended {
            Ended::Deleted => self.end.execute([number])?,
            Ended::Kept | Ended::Swept => self.end.execute(params![number, now(), TEXT.as_bytes()])?,
        };
        assert_eq!(ended, 1, "it ends once");
        Ok(())
    }

    /// Deletes what is older than those that are kept. What has not ended is far younger.
    fn sweep(&mut self) -> rusqlite::Result<()> {
        let until = self.last.saturating_sub(KEPT as u64);
        if let Some(sweep) = &mut self.sweep
            && until > self.swept
        {
            sweep.execute([self.swept + 1, until])?;
            self.swept = until;
        }
        Ok(())
    }
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
