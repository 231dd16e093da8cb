//! Opens connections to the file: one to write, one to move the log into it, some to read.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::paths;
use super::schema::{APPLICATION, FIRST_AS_SECOND, KNOWN, migrate};

/// How long to wait for somebody who holds the file locked: a reader that recovers the log, a person with `sqlite3`.
const BUSY: Duration = Duration::from_secs(5);

/// The same for a transaction of the engine once it has started: it is tried again, on another connection.
const BUSY_LATER: Duration = Duration::from_secs(1);

/// The oldest version of each line of SQLite that cannot lose what was committed when its WAL is reset.
const MENDED: [std::ops::RangeInclusive<i32>; 3] =
    [3_044_006..=3_044_999, 3_050_007..=3_050_999, 3_051_003..=i32::MAX];

/// Makes the store at `path` if there is none, and opens it.
#[cfg(test)]
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    make(path)?;
    open_made(path)
}

/// Opens the store at `path`, which [`make`] has made, now or before, and brings its format up to this program's.
///
/// The caller has the right to it ([`Ownership`](super::ownership::Ownership)). What the connection commits is on the disk
/// when it has committed. Nothing is moved from the log to the file by a commit: that is for [`checkpoint`], which somebody
/// must call.
///
/// # Errors
///
/// Whatever [`StoreError`] says; the file is as it was, except where a step of its format had been made.
pub(in crate::engine::sqlite) fn open_made(path: &Path) -> Result<Connection, StoreError> {
    check_linked(rusqlite::version_number())?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let found = version(&connection, path)?;
    let mode = log_ahead(&connection).map_err(|error| StoreError::of(path, error))?;
    if mode != "wal" {
        return Err(StoreError::NoLog { path: path.to_owned() });
    }
    settle_in(&connection).map_err(|error| StoreError::of(path, error))?;
    migrate(&mut connection, found).map_err(|error| StoreError::of(path, error))?;
    sync_names(path)?;
    Ok(connection)
}

/// Has commits go to a write-ahead log; answers the mode that the file is in then. The statement that changes it answers
/// before it has committed: it is run to its end, which may be an error.
fn log_ahead(connection: &Connection) -> rusqlite::Result<String> {
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    let mut mode = String::new();
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    Ok(mode)
}

/// Has the names of the file and of its log on the disk. SQLite does so too, and does not look whether it succeeds: the
/// log of a file that is found without it is gone.
fn sync_names(path: &Path) -> Result<(), StoreError> {
    let opened = fs::File::open(paths::directory(path));
    opened.and_then(|directory| directory.sync_all()).map_err(|error| StoreError::of_io(path, error))
}

/// Has a connection that [`open_made`] has opened wait for locks as the engine does once it has started.
///
/// # Errors
///
/// Those of SQLite.
pub(in crate::engine::sqlite) fn has_started(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_LATER)
}

/// Opens another connection to a store that [`open_made`] has opened, to [`checkpoint`] beside the one that writes.
///
/// # Errors
///
/// Whatever [`StoreError`] says.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    settle_in(&connection).map_err(|error| StoreError::of(path, error))?;
    // The last connection that is closed moves the log: this is not that of who knows whether the log is on disk.
    let never_at_last = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(never_at_last, true).map_err(|error| StoreError::of(path, error))?;
    Ok(connection)
}

/// Opens the store at `path` to read it, beside an owner that lives or without one. Takes no lock, and changes nothing
/// in it.
///
/// # Errors
///
/// Whatever [`StoreError`] says; [`StoreError::Open`] if there is no such file.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match version(&connection, path)? {
        0 => return Err(StoreError::Foreign { path: path.to_owned() }),
        1 => {
            connection
                .pragma_update(None, "temp_store", "MEMORY")
                .map_err(|error| StoreError::of(path, error))?;
            connection.execute_batch(FIRST_AS_SECOND).map_err(|error| StoreError::of(path, error))?;
        }
        _ => {}
    }
    connection.pragma_update(None, "mmap_size", 0).map_err(|error| StoreError::of(path, error))?;
    Ok(connection)
}

/// What a checkpoint came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpointed {
    /// Whether all that was committed is in the file, and the log is begun anew (or, truncating, is empty).
    pub(crate) is_whole: bool,
    /// How many pages the log holds.
    pub(crate) log_pages: u64,
    /// How many of them are in the file.
    pub(crate) moved_pages: u64,
}

/// Moves what was committed from the log to the file, as far as readers and the one that writes allow without being
/// waited for. Truncating, it waits for them, up to the busy timeout, and leaves an empty log.
///
/// # Errors
///
/// Those of the disk: what failed to reach it may then be in its cache alone, and gone with it.
pub(crate) fn checkpoint(connection: &Connection, truncate: bool) -> rusqlite::Result<Checkpointed> {
    wal_checkpoint(connection, if truncate { "TRUNCATE" } else { "PASSIVE" })
}

/// How long the log is, and how much of it is in the file already. Nothing is moved, but by an SQLite before 3.51, which
/// knows no other way to tell.
///
/// # Errors
///
/// Those of the disk.
pub(crate) fn log(connection: &Connection) -> rusqlite::Result<Checkpointed> {
    wal_checkpoint(connection, "NOOP")
}

/// Does this on the connection of the one that writes, and waits for no lock meanwhile.
///
/// # Errors
///
/// Those of what is done.
pub(in crate::engine::sqlite) fn without_waiting<T>(
    connection: &Connection,
    run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.busy_timeout(Duration::ZERO)?;
    let done = run(connection);
    connection.busy_timeout(BUSY_LATER)?;
    done
}

fn wal_checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<Checkpointed> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.prepare_cached(&sql)?.query_row([], |row| {
        let (busy, log, moved): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let pages = |pages: i64| u64::try_from(pages).unwrap_or_default();
        Ok(Checkpointed {
            is_whole: busy == 0 && log == moved,
            log_pages: pages(log),
            moved_pages: pages(moved),
        })
    })
}

fn check_linked(version: i32) -> Result<(), StoreError> {
    if MENDED.iter().any(|mended| mended.contains(&version)) {
        return Ok(());
    }
    let linked = format!("{}.{}.{}", version / 1_000_000, version / 1_000 % 1_000, version % 1_000);
    Err(StoreError::Linked { linked })
}

/// Makes the file if there is none, readable by this user alone: SQLite gives its log the same mode. An existing one is
/// not opened here: closing it again would take away the locks that another connection of this process has on it.
pub(in crate::engine::sqlite) fn make(path: &Path) -> Result<(), StoreError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        // No log is found on the disk of which there is no file.
        Ok(_) => sync_names(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::of_io(path, error)),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    // One thread at a time uses a connection: Rust sees to it.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connect = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(64);
        // A statement is compiled once, not anew whenever another limit is bound.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(connection)
    };
    connect().map_err(|error| StoreError::of(path, error))
}

/// The version of the format; 0 for a file that holds nothing.
fn version(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let sql = "SELECT (SELECT application_id FROM pragma_application_id),
                      (SELECT user_version FROM pragma_user_version),
                      EXISTS (SELECT 1 FROM sqlite_schema)";
    let (application, found, is_used): (i32, i64, bool) = connection
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(|error| StoreError::of(path, error))?;
    match (application, u32::try_from(found)) {
        (0, Ok(0)) if !is_used => Ok(0),
        (APPLICATION, Ok(found)) if found > KNOWN => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: KNOWN })
        }
        (APPLICATION, Ok(found)) if found > 0 => Ok(found),
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

/// Returns how many transactions have been committed in the store.
pub(in crate::engine::sqlite) fn written(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT transactions FROM written", [], |row| row.get(0))
}

fn settle_in(connection: &Connection) -> rusqlite::Result<()> {
    // A commit has reached the disk when it is answered.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is sorted for a look-up stays in memory: the directory may not be writable, and is not asked twice.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // 32 MiB, in units of -1,024 bytes: the inner pages of all indexes of some ten million rows.
    connection.pragma_update(None, "cache_size", -32_768)?;
    // With a mapped file an error of the disk would be a signal that kills the process.
    connection.pragma_update(None, "mmap_size", 0)?;
    // No commit pays for a checkpoint: the engine makes them from a thread of its own.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // What a burst has left behind is given back when the log is begun anew.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // No table refers to another in a way that SQLite checks.
    connection.pragma_update(None, "foreign_keys", false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite::file::open_error::Unopened;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zato.db");
        (directory, path)
    }

    fn pragma(connection: &Connection, name: &str) -> String {
        let value: rusqlite::types::Value =
            connection.pragma_query_value(None, name, |row| row.get(0)).expect("a pragma");
        match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn a_new_file_is_made_and_opened_again() {
        let (_directory, path) = file();
        for _ in 0..2 {
            let connection = open(&path).expect("it opens");
            let set = ["journal_mode", "synchronous", "application_id", "user_version", "mmap_size"];
            let set = set.map(|name| pragma(&connection, name));
            assert_eq!(set, ["wal", "2", &APPLICATION.to_string(), "2", "0"]);
            assert_eq!(pragma(&connection, "wal_autocheckpoint"), "0");
            assert_eq!(pragma(&connection, "integrity_check"), "ok");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;

        let (directory, path) = file();
        let _connection = open(&path).expect("it opens");
        let mut files = 0;
        for entry in fs::read_dir(directory.path()).expect("it can be listed") {
            let entry = entry.expect("it can be read");
            let mode = entry.metadata().expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
            files += 1;
        }
        assert_eq!(files, 3, "the file, its log and the index of that");
    }

    #[test]
    fn a_newer_file_is_refused_with_both_versions() {
        let (_directory, path) = file();
        open(&path).expect("it opens").pragma_update(None, "user_version", 7).expect("it can be set");
        for refused in [open(&path), open_reader(&path)] {
            let refused = refused.expect_err("it is newer");
            assert!(matches!(refused, StoreError::Newer { found: 7, known: KNOWN, .. }), "{refused:?}");
            let text = refused.to_string();
            assert!(text.contains("format 7") && text.contains(&format!("up to {KNOWN}")), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_store_is_refused_and_left_as_it_is() {
        let (_directory, path) = file();
        let text = "no database at all, but longer than the header of one: ".repeat(20);
        fs::write(&path, &text).expect("it can be written");
        assert!(matches!(open(&path), Err(StoreError::Foreign { .. })));
        assert_eq!(fs::read_to_string(&path).expect("it is there"), text);

        fs::remove_file(&path).expect("it can go");
        let other = Connection::open(&path).expect("another program's");
        other.execute_batch("CREATE TABLE theirs (it)").expect("a table");
        drop(other);
        assert!(matches!(open(&path), Err(StoreError::Foreign { .. })));
        let other = Connection::open(&path).expect("it is still theirs");
        assert_eq!(pragma(&other, "journal_mode"), "delete");
    }

    #[test]
    fn a_damaged_file_is_told() {
        let (_directory, path) = file();
        let connection = open(&path).expect("it opens");
        connection.close().expect("all is in the file");
        let whole = fs::read(&path).expect("it can be read");
        fs::write(&path, &whole[..whole.len() / 2]).expect("it can be cut");
        let damaged = open(&path).expect_err("half of it is gone");
        assert!(matches!(damaged, StoreError::Corrupt { .. }), "{damaged:?}");
        assert!(damaged.to_string().contains(".recover"), "{damaged}");
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let (directory, path) = file();
        let reason = |result: Result<Connection, StoreError>| match result.expect_err("it cannot be opened") {
            StoreError::Open { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(open(&path.join("zato.db"))), Unopened::NoDirectory);
        assert_eq!(reason(open(&directory.path().join("no/zato.db"))), Unopened::NoDirectory);
        assert_eq!(reason(open(directory.path())), Unopened::Directory);
        assert_eq!(reason(open_reader(&path)), Unopened::NoFile);
        assert!(!path.exists(), "a reader makes nothing");
    }

    #[test]
    fn a_linked_sqlite_that_loses_commits_is_refused() {
        for mended in [3_044_006, 3_050_007, 3_051_003, 3_052_000, 4_000_000] {
            assert!(check_linked(mended).is_ok(), "{mended}");
        }
        for old in [3_007_000, 3_044_005, 3_045_000, 3_049_002, 3_050_006, 3_051_002] {
            assert!(check_linked(old).is_err(), "{old}");
        }
        let refused = check_linked(3_051_002).expect_err("it is too old").to_string();
        assert!(refused.starts_with("SQLite 3.51.2 is linked"), "{refused}");
    }

    #[test]
    fn a_reader_sees_what_is_committed_beside_its_writer_and_after_it() {
        let (_directory, path) = file();
        let writer = open(&path).expect("it opens");
        let reader = open_reader(&path).expect("it opens");
        writer.execute("INSERT INTO service (name) VALUES ('a')", []).expect("it is written");
        let count = |connection: &Connection| -> i64 {
            connection.query_row("SELECT count(*) FROM service", [], |row| row.get(0)).expect("a count")
        };
        assert_eq!(count(&reader), 1);
        reader.execute("DELETE FROM service", []).expect_err("a reader changes nothing");
        writer.close().expect("it closes");
        assert_eq!(count(&reader), 1);
        drop(reader);
        assert_eq!(count(&open_reader(&path).expect("it opens without an owner")), 1);
    }

    /// What a process that was killed has left: the log, and no index of it.
    #[test]
    fn a_reader_reads_the_log_of_a_dead_owner() {
        let (directory, path) = file();
        let writer = open(&path).expect("it opens");
        writer.execute("INSERT INTO service (name) VALUES ('a')", []).expect("it is written");
        let left = directory.path().join("left.db");
        fs::copy(&path, &left).expect("it can be copied");
        fs::copy(path.with_file_name("zato.db-wal"), left.with_file_name("left.db-wal"))
            .expect("so can its log");
        let reader = open_reader(&left).expect("it opens");
        let count = reader.query_row("SELECT count(*) FROM service", [], |row| row.get::<_, i64>(0));
        assert_eq!(count, Ok(1));
    }

    #[test]
    fn a_checkpoint_moves_the_log_into_the_file() {
        let (_directory, path) = file();
        let writer = open(&path).expect("it opens");
        let beside = open_read_only(&path).expect("it opens");
        writer.execute("INSERT INTO service (name) VALUES ('a')", []).expect("it is written");
        let moved = checkpoint(&beside, false).expect("it is moved");
        assert!(moved.is_whole && moved.log_pages > 0 && moved.moved_pages == moved.log_pages, "{moved:?}");
        let emptied = checkpoint(&writer, true).expect("it is moved");
        assert_eq!(emptied, Checkpointed { is_whole: true, log_pages: 0, moved_pages: 0 });
    }
}
