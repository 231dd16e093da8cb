//! A program that writes rows to a bare file of SQLite and says which of them it has committed, and what must be there
//! afterwards: it shows that the tools find what they are to find.

use std::env;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rusqlite::{Connection, params};

/// The role of a child that does that.
pub(crate) const ROLE: &str = "rows";

/// How many errors it puts up with.
const PATIENCE: usize = 20;

/// How long it waits for a lock.
const BUSY: Duration = Duration::from_millis(20);

/// How it ends when it has given up.
pub(crate) const GIVEN_UP: i32 = 3;

/// What SQLite's `synchronous` is to be, and how many rows are written.
const SYNCHRONOUS: &str = "ZATO_CRASH_SYNCHRONOUS";
const COUNT: &str = "ZATO_CRASH_COUNT";

/// Says how it is to play the role.
pub(crate) fn set(command: &mut Command, synchronous: &str, count: u64) {
    command.env(SYNCHRONOUS, synchronous).env(COUNT, count.to_string());
}

/// Plays the role, on the file at `path`. Its standard input is where it writes what it has committed.
pub(crate) fn run(path: &Path) {
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let journal = io::stdin().as_fd().try_clone_to_owned().expect("it can be cloned");
    let mut journal = File::from(journal);
    let count = variable(COUNT).parse().expect("a number");
    let synchronous = variable(SYNCHRONOUS);
    let mut next = 0;
    for _ in 0..PATIENCE {
        match open(path, &synchronous)
            .and_then(|connection| write(&connection, &mut next, count, &mut journal))
        {
            Ok(()) => return,
            Err(error) => eprintln!("{error}"),
        }
    }
    std::process::exit(GIVEN_UP);
}

fn open(file: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 30)?;
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")?;
    Ok(connection)
}

/// A row in each transaction, large and small; a row whose commit has failed is not told, nor tried again.
fn write(connection: &Connection, next: &mut u64, count: u64, journal: &mut File) -> rusqlite::Result<()> {
    while *next < count {
        let id = *next;
        *next += 1;
        connection.execute("INSERT INTO row (id, bytes) VALUES (?1, ?2)", params![id, bytes(id)])?;
        let line = format!("{id}\n");
        journal.write_all(line.as_bytes()).expect("the journal can be written");
        if id % 40 == 39 {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
    }
    Ok(())
}

fn bytes(id: u64) -> Vec<u8> {
    let length = if id.is_multiple_of(7) { 9_000 } else { 100 };
    id.to_le_bytes().into_iter().cycle().take(length).collect()
}

/// What is wrong with the file at `path`, of which that has been told; `None` where nothing is.
pub(crate) fn fault(path: &Path, told: &str) -> Option<String> {
    check(path, told).unwrap_or_else(|error| Some(format!("{error}")))
}

fn check(path: &Path, told: &str) -> rusqlite::Result<Option<String>> {
    // The last line may be cut off.
    let told = told.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let told: Vec<u64> = told.map(|line| line.parse().expect("a line is a number")).collect();
    if told.is_empty() {
        return Ok(None);
    }
    let connection = Connection::open(path)?;
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if sound != "ok" {
        return Ok(Some(sound));
    }
    let mut statement = connection.prepare("SELECT bytes FROM row WHERE id = ?1")?;
    for id in told {
        match statement.query_row([id], |row| row.get::<_, Vec<u8>>(0)) {
            Ok(held) if held == bytes(id) => {}
            Ok(_) => return Ok(Some(format!("row {id} holds something else"))),
            Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(Some(format!("row {id} is lost"))),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
