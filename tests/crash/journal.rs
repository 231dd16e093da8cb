//! The journal: what was asked for, what was answered and what ran, as JSON lines that another process writes and syncs.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a pipe takes as one: lines of several threads, and of processes that die, do not run into each other.
const MAX_LINE: usize = 4_096;

/// How much is read, written and synced at once.
const CHUNK: usize = 1 << 16;

/// A line. CIDs are texts here: who checks them shares no code with who made them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// A life begins: it is about to open the file.
    Begins { life: u32 },
    /// Its bus has started.
    Up { life: u32 },
    /// Its bus begins to shut down: that its process dies from here on may be no loss.
    Stops { life: u32 },
    /// Its bus has shut down.
    Down { life: u32 },
    /// A call is about to be made.
    Asks(Asked),
    /// It was answered with this CID: from here on it is promised.
    Got { id: String, by: Option<String>, cid: String },
    /// It was refused, because the CID that it brings is held already.
    Taken { id: String, cid: String },
    /// It was refused: nothing came of it.
    Refused { id: String, by: Option<String>, why: String },
    /// A synchronous call inside this attempt is about to be made.
    AsksInside { id: String, by: String, attempt: u32 },
    /// It has brought a response.
    Returned { id: String, by: String, attempt: u32 },
    /// A synchronous call from outside is about to be made.
    AsksOutside { id: String },
    /// It has brought a response.
    Answered { id: String },
    /// The outcome of an invocation was told.
    Told { cid: String, outcome: String },
    /// An invocation is about to be cancelled.
    Cancels { cid: String, with_tree: bool },
    /// It was answered: `ended`, `cancelled` or `requested`.
    Cancelled { cid: String, answer: String },
    /// A dead letter is about to be run again.
    RunsAgain { cid: String },
    /// It was: under this CID.
    RanAgain { cid: String, again: String },
    /// An attempt begins, of what has this concurrency key; `is_inside` for a synchronous call, which is a part of
    /// something else.
    Began { cid: String, attempt: u32, service: String, lane: Option<String>, is_inside: bool },
    /// The life hosts these services, and no other. A life without this line hosts all of them.
    Hosts { services: Vec<String> },
    /// A service is about to be paused, or to be resumed.
    Switches { service: String, pauses: bool },
    /// The store has confirmed that.
    Switched { service: String, pauses: bool },
    /// The store has confirmed a change that was made after the shutdown had begun. The bus commits in order, so what ran
    /// then is recorded as cut off by a shutdown.
    Drains { life: u32 },
    /// It is over.
    Left { cid: String, attempt: u32 },
}

/// A call that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) id: String,
    /// The invocation whose attempt asks; none for a call from outside.
    pub(crate) by: Option<String>,
    pub(crate) what: What,
    /// Who is to receive the response of it, or of the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) callbacks: Vec<String>,
    /// Who is to be told of its failure, or of the group's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) on_failure: Vec<String>,
    /// The CID that it brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cid: Option<String>,
    /// Its idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) once: Option<String>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Call(Target),
    /// Members, and who receives the outcome of each.
    Group {
        fans_out: bool,
        members: Vec<Target>,
        each: Vec<String>,
    },
    /// The first step, and the services of all.
    Chain {
        first: Target,
        steps: Vec<String>,
    },
}

/// A service and its request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) service: String,
    /// What the request's bytes hash to: requests are long.
    pub(crate) digest: u64,
}

/// FNV-1a: the same in every process and every build.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The way into the journal, through a pipe: a line that is written is not lost when this process dies.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    pipe: Arc<File>,
}

impl Journal {
    pub(crate) fn new(pipe: File) -> Self {
        Self { pipe: Arc::new(pipe) }
    }

    /// Writes a line, in one piece.
    pub(crate) fn write(&self, line: &Line) {
        let mut bytes = serde_json::to_vec(line).expect("a line is JSON");
        bytes.push(b'\n');
        assert!(bytes.len() <= MAX_LINE, "a line of {} bytes is written in pieces", bytes.len());
        (&*self.pipe).write_all(&bytes).expect("the journal is there");
    }
}

/// What the journal's process does: appends to the file what comes, and has it on the disk, until nobody writes any
/// more.
pub(crate) fn keep(mut from: impl Read, path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            count => file.write_all(&chunk[..count])?,
        }
        file.sync_data()?;
    }
}

/// All lines of a journal.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Line>> {
    let lines = BufReader::new(File::open(path)?).lines();
    lines.map(|line| serde_json::from_str(&line?).map_err(io::Error::from)).collect()
}

/// Writes lines as a journal of their own.
pub(crate) fn write(path: &Path, lines: &[Line]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
    }
    std::fs::write(path, bytes)
}
