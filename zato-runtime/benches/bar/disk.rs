//! Bare loops over `rusqlite` that write what the durable engine writes, with as few steps, and share a sync among all
//! that wait as it does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, Statement, params};
use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};

use crate::bus::bus;
use crate::place;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;

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

/// A change of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Insert(New),
    /// An attempt has failed, and the invocation waits for another one.
    Again {
        number: u64,
    },
    /// That attempt begins.
    Start {
        number: u64,
    },
    /// The invocation has completed with this response.
    End {
        number: u64,
        response: &'static str,
    },
}

/// A new row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct New {
    /// Its accept number. Numbers stand for CIDs too.
    pub(crate) number: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) root: u64,
    pub(crate) payload: &'static str,
    pub(crate) has_callback: bool,
    pub(crate) kind: Kind,
}

/// A kind of row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An invocation whose first attempt begins in the same step.
    Started,
    /// The same for a member of a group.
    Member { group: u64, index: usize },
    /// A group with members that have not ended.
    Group,
    /// A synchronous call, which is recorded when it has ended.
    Ended,
}

impl New {
    /// The row of a call from outside that has a callback.
    pub(crate) fn root(number: u64) -> Self {
        Self { number, parent: None, root: number, payload: PLAIN, has_callback: true, kind: Kind::Started }
    }

    /// The row of what this one calls, or of its callback.
    pub(crate) fn child(self, number: u64) -> Self {
        Self { number, parent: Some(self.number), has_callback: false, kind: Kind::Started, ..self }
    }
}

/// The changes of one step, which are written together.
pub(crate) type Step = SmallVec<[Change; 3]>;

/// How many that have ended are kept where what is older is swept.
pub(crate) const KEPT: usize = 10_000;

/// The callbacks of a row, and the attempts that have failed, as the engine writes them.
const CALLBACKS: &str = "[\"shape.callback\"]";
const TRIED: &str = r#"[{"number":1,"started_at":1796097766681982766,"ended_at":1796097766685058501,"error":"the first attempt fails","counts":true}]"#;

type Asked = (Step, oneshot::Sender<()>);

/// A file with a writer.
pub(crate) struct Bare {
    steps: mpsc::UnboundedSender<Asked>,
    writer: std::thread::JoinHandle<()>,
    directory: tempfile::TempDir,
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
        Self { steps, writer, directory }
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("zato.db")
    }

    /// Writes these changes, and waits until they are on disk.
    pub(crate) async fn write(&self, step: impl IntoIterator<Item = Change>) {
        let (answer, answered) = oneshot::channel();
        self.steps.send((step.into_iter().collect(), answer)).expect("it is written");
        answered.await.expect("it is written");
    }

    /// Accepts one invocation: one bare commit.
    pub(crate) async fn accept(&self, number: u64) {
        self.write([Change::Insert(New::root(number))]).await;
    }

    /// Waits until all that was asked for is written.
    pub(crate) fn finish(self) -> tempfile::TempDir {
        drop(self.steps);
        self.writer.join().expect("it does not panic");
        self.directory
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
                    let target = New::root(number);
                    let callback = target.child(number + 1);
                    bare.write([Change::Insert(target)]).await;
                    let end = Change::End { number, response: PLAIN };
                    bare.write([end, Change::Insert(callback)]).await;
                    bare.write([Change::End { number: callback.number, response: PLAIN }]).await;
                }
            })
        })
        .collect();
    for round in rounds {
        round.await.expect("it does not panic");
    }
    let took = began.elapsed();
    drop(Arc::into_inner(bare).expect("all rounds have ended").finish());
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
            for change in &step {
                statements.make(change).expect("it is written");
            }
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

/// The statements that are run again and again.
struct Statements<'c> {
    ended: Ended,
    begin: Statement<'c>,
    commit: Statement<'c>,
    insert: Statement<'c>,
    insert_member: Option<Statement<'c>>,
    insert_ended: Option<Statement<'c>>,
    again: Option<Statement<'c>>,
    start: Option<Statement<'c>>,
    end: Statement<'c>,
    sweep: Option<Statement<'c>>,
    /// The last that was inserted, and the last that was swept.
    last: u64,
    swept: u64,
}

/// The columns of every new row, and as many values.
const COLUMNS: &str =
    "accept, cid, state, service, channel, caller, parent, root, depth, called_at, rank, line_at, attempts,
    failed, losses, started_at, cancel, callbacks, payload_kind, payload";
const VALUES: &str = "?1, ?2, ?3, 1, 1, 1, ?4, ?5, 0, ?6, 0, ?6, 1, 0, 0, ?6, 0, ?7, 1, ?8";

impl<'c> Statements<'c> {
    fn new(connection: &'c Connection, ended: Ended) -> rusqlite::Result<Self> {
        let is_least = ended == Ended::Deleted;
        // None of these is a statement of a queue that deletes what has ended.
        let other = |sql: &str| (!is_least).then(|| connection.prepare(sql)).transpose();
        let insert = format!("INSERT INTO invocation ({COLUMNS}) VALUES ({VALUES})");
        let insert_member =
            format!("INSERT INTO invocation ({COLUMNS}, slot_group, slot_index) VALUES ({VALUES}, ?9, ?10)");
        let insert_ended = format!(
            "INSERT INTO invocation ({COLUMNS}, ended_at, outcome, response_kind, response) \
             VALUES ({VALUES}, ?6, 0, 1, ?8)"
        );
        let again =
            "UPDATE invocation SET state = 0, behind = 1, failed = 1, next_at = ?2, line_at = ?2, tried = ?3
            WHERE accept = ?1 AND state < 3";
        let start =
            "UPDATE invocation SET state = 1, attempts = 2, started_at = ?2 WHERE accept = ?1 AND state < 3";
        let end =
            "UPDATE invocation SET state = 3, started_at = ?2, ended_at = ?2, outcome = 0, response_kind = 1,
                response = ?3
            WHERE accept = ?1 AND state < 3";
        let (insert, end) = match ended {
            Ended::Kept | Ended::Swept => (&*insert, end),
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
            insert_member: other(&insert_member)?,
            insert_ended: other(&insert_ended)?,
            again: other(again)?,
            start: other(start)?,
            end: connection.prepare(end)?,
            sweep: (ended == Ended::Swept).then(|| connection.prepare(sweep)).transpose()?,
            last: 0,
            swept: 0,
        })
    }

    fn make(&mut self, change: &Change) -> rusqlite::Result<()> {
        let changed = match *change {
            Change::Insert(new) => self.insert(new)?,
            Change::Again { number } => of(&mut self.again).execute(params![number, now(), TRIED])?,
            Change::Start { number } => of(&mut self.start).execute(params![number, now()])?,
            Change::End { number, .. } if self.ended == Ended::Deleted => self.end.execute([number])?,
            Change::End { number, response } => {
                self.end.execute(params![number, now(), response.as_bytes()])?
            }
        };
        assert_eq!(changed, 1, "each change is of one row");
        Ok(())
    }

    fn insert(&mut self, new: New) -> rusqlite::Result<usize> {
        let New { number, parent, root, payload, has_callback, kind } = new;
        self.last = self.last.max(number);
        if self.ended == Ended::Deleted {
            return self.insert.execute(params![number, cid(number), payload.as_bytes()]);
        }
        let state = match kind {
            Kind::Started | Kind::Member { .. } => 1,
            Kind::Group => 2,
            Kind::Ended => 3,
        };
        let (cid, parent, root) = (cid(number), parent.map(cid), cid(root));
        let callbacks = has_callback.then_some(CALLBACKS);
        let payload = payload.as_bytes();
        match kind {
            Kind::Started | Kind::Group => {
                self.insert.execute(params![number, cid, state, parent, root, now(), callbacks, payload])
            }
            Kind::Member { group, index } => of(&mut self.insert_member).execute(params![
                number,
                cid,
                state,
                parent,
                root,
                now(),
                callbacks,
                payload,
                self::cid(group),
                index,
            ]),
            Kind::Ended => of(&mut self.insert_ended).execute(params![
                number,
                cid,
                state,
                parent,
                root,
                now(),
                callbacks,
                payload
            ]),
        }
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

/// A statement that this file has.
fn of<'a, 'c>(statement: &'a mut Option<Statement<'c>>) -> &'a mut Statement<'c> {
    statement.as_mut().expect("only a file that keeps what has ended is asked for this")
}

/// A CID of version 7; they are in the order of their numbers.
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
