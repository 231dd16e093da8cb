//! The write-ahead log as a process that died has left it: whether it was damaged since.
//!
//! SQLite reads a log up to the first frame that is not as it should be, and takes what follows for what a process that
//! died had not finished. That is so for the last transaction alone: each is synced before the next is written. A whole
//! transaction behind the end of another that is not whole was acknowledged, and SQLite would drop it without a word.
//! (The format: <https://sqlite.org/fileformat2.html#walformat>.)

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// The bytes before the first frame.
const HEADER: usize = 32;

/// The bytes before the page in a frame.
const FRAME: usize = 24;

/// What a log begins with, but for the last bit, which says in which order checksums take bytes.
const MAGIC: u32 = 0x377f_0682;

/// The size of a page where the header does not tell: that of every store that was made here.
const PAGE: usize = 4_096;

/// The part of a log that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The first frame that is not whole, from 1; 0 for the header.
    pub(crate) frame: u64,
    /// How many whole frames come after it.
    pub(crate) lost: u64,
    /// How many bytes come before it.
    pub(crate) sound: u64,
}

/// Looks for damage in the log at `log`, which belongs to the store at `file`. None where there is no log.
pub(in crate::engine::sqlite) fn damage(log: &Path, file: &Path) -> io::Result<Option<Damage>> {
    match File::open(log) {
        Ok(log) => scan(log, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

type Sum = (u32, u32);

fn scan(log: File, file: &Path) -> io::Result<Option<Damage>> {
    let mut log = BufReader::with_capacity(1 << 20, log);
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let magic = word(&header, 0);
    let mut before = (word(&header, 24), word(&header, 28));
    let page = usize::try_from(word(&header, 8)).unwrap_or_default();
    let is_sound = magic & !1 == MAGIC
        && sum(magic & 1 == 1, (0, 0), &header[..24]) == before
        && page.is_power_of_two()
        && (512..=65_536).contains(&page);
    // A log is written in the order of the machine that writes it.
    let is_big = if is_sound { magic & 1 == 1 } else { cfg!(target_endian = "big") };
    let page = if is_sound { page } else { PAGE };
    let mut salts = is_sound.then(|| (word(&header, 16), word(&header, 20)));
    let mut frame = vec![0; FRAME + page];
    let (mut number, mut broken, mut lost) = (0, (!is_sound).then_some(0), 0);
    // Where the transaction ends that is not whole, and whether a whole one comes after it.
    let (mut ends, mut is_acknowledged) = (None, false);
    let mut pages = HashMap::new();
    while fill(&mut log, &mut frame)? {
        number += 1;
        let stored = (word(&frame, 16), word(&frame, 20));
        let own = (word(&frame, 8), word(&frame, 12));
        let is_of_this_log = *salts.get_or_insert(own) == own && word(&frame, 0) > 0;
        let is_whole = is_of_this_log && linked(is_big, before, &frame) == stored;
        let is_commit = is_of_this_log && word(&frame, 4) > 0;
        before = stored;
        match broken {
            None if is_whole => {}
            None => {
                broken = Some(number);
                ends = is_commit.then_some(number);
            }
            Some(first) => {
                if is_whole {
                    lost += 1;
                    is_acknowledged |= is_commit && (first == 0 || ends.is_some());
                    pages.insert(word(&frame, 0), number);
                }
                if is_commit {
                    ends.get_or_insert(number);
                }
            }
        }
    }
    let Some(broken) = broken.filter(|_| is_acknowledged) else { return Ok(None) };
    // A log is begun anew when all of it is in the file: a header that could not be written has lost nothing then.
    if broken == 0 && is_in_file(&mut log, file, page, &pages)? {
        return Ok(None);
    }
    let frames = u64::try_from(FRAME + page).unwrap_or_default();
    let sound = if broken == 0 { 0 } else { HEADER as u64 + (broken - 1) * frames };
    Ok(Some(Damage { frame: broken, lost, sound }))
}

/// Whether the file holds these pages as the frames with these numbers do.
fn is_in_file(
    log: &mut (impl Read + Seek),
    file: &Path,
    page: usize,
    pages: &HashMap<u32, u64>,
) -> io::Result<bool> {
    let mut file = File::open(file)?;
    let (mut logged, mut held) = (vec![0; page], vec![0; page]);
    let size = page as u64;
    for (number, frame) in pages {
        log.seek(SeekFrom::Start(HEADER as u64 + (frame - 1) * (FRAME as u64 + size) + FRAME as u64))?;
        file.seek(SeekFrom::Start((u64::from(*number) - 1) * size))?;
        if !fill(log, &mut logged)? || !fill(&mut file, &mut held)? || logged != held {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads as many bytes as there is place for; answers whether there were so many.
fn fill(from: &mut impl Read, to: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Four bytes, the most significant first.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// The checksum of a frame after one with this checksum.
fn linked(is_big: bool, before: Sum, frame: &[u8]) -> Sum {
    sum(is_big, sum(is_big, before, &frame[..8]), &frame[FRAME..])
}

/// SQLite's checksum of a log, which goes on from `from`.
fn sum(is_big: bool, from: Sum, bytes: &[u8]) -> Sum {
    let word = |bytes: [u8; 4]| if is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    bytes.as_chunks::<8>().0.iter().fold(from, |(first, second), &[a, b, c, d, e, f, g, h]| {
        let first = first.wrapping_add(word([a, b, c, d])).wrapping_add(second);
        (first, second.wrapping_add(word([e, f, g, h])).wrapping_add(first))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;

    /// A store whose process has died: ten transactions are in its log.
    fn left() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (path, copy) = (directory.path().join("a.db"), directory.path().join("b.db"));
        let connection = Connection::open(&path).expect("it opens");
        connection.pragma_update(None, "journal_mode", "WAL").expect("a log");
        connection.execute_batch("CREATE TABLE t (x)").expect("a table");
        for n in 0..10 {
            connection.execute("INSERT INTO t VALUES (?1), (zeroblob(9000))", [n]).expect("a row");
        }
        fs::copy(&path, &copy).expect("it can be copied");
        let log = fs::read(path.with_file_name("a.db-wal")).expect("there is a log");
        (directory, copy, log)
    }

    fn found(path: &Path, log: &[u8]) -> Option<Damage> {
        let at = path.with_file_name("b.db-wal");
        fs::write(&at, log).expect("it can be written");
        damage(&at, path).expect("it can be read")
    }

    /// The frames that end a transaction, from 1.
    fn commits(log: &[u8]) -> Vec<usize> {
        let frames = log[HEADER..].chunks(FRAME + PAGE).enumerate();
        frames.filter(|(_, frame)| word(frame, 4) > 0).map(|(index, _)| index + 1).collect()
    }

    #[test]
    fn a_whole_log_has_no_damage_and_neither_has_none() {
        let (_directory, path, log) = left();
        assert_eq!(found(&path, &log), None);
        assert_eq!(found(&path, &log[..10]), None);
        assert_eq!(damage(&path.with_file_name("none"), &path).expect("there is none"), None);
    }

    #[test]
    fn a_bit_that_is_flipped_before_the_last_transaction_is_found() {
        let (_directory, path, log) = left();
        let commits = commits(&log);
        let last = HEADER + commits[commits.len() - 2] * (FRAME + PAGE);
        for at in [3, 9, 17, 25].into_iter().chain((0..last).step_by(997)) {
            let mut damaged = log.clone();
            damaged[at] ^= 1 << (at % 3);
            let frame = if at < HEADER { 0 } else { (at - HEADER) / (FRAME + PAGE) + 1 };
            let found = found(&path, &damaged).unwrap_or_else(|| panic!("a bit of byte {at} is not missed"));
            assert_eq!(found.frame, frame as u64, "byte {at}");
            let sound = if frame == 0 { 0 } else { HEADER + (FRAME + PAGE) * (frame - 1) };
            assert_eq!(found.sound, sound as u64);
            assert!(found.lost > 0);
        }
    }

    /// What a process had not finished that died, or lost its power while it wrote: any part of the last transaction.
    #[test]
    fn a_torn_end_is_no_damage() {
        let (_directory, path, log) = left();
        let commits = commits(&log);
        let (from, frame) = (commits[commits.len() - 2], FRAME + PAGE);
        for first in from..commits[commits.len() - 1] {
            let mut torn = log.clone();
            torn[HEADER + first * frame..][..frame].fill(0);
            assert_eq!(found(&path, &torn), None, "frame {first} was not written");
        }
        for length in (HEADER + from * frame..log.len()).step_by(501) {
            assert_eq!(found(&path, &log[..length]), None, "cut after {length} bytes");
        }
    }

    /// What is left of the log before, once it is begun anew.
    #[test]
    fn frames_of_the_log_before_are_no_damage() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.db");
        let connection = Connection::open(&path).expect("it opens");
        connection.pragma_update(None, "journal_mode", "WAL").expect("a log");
        connection.execute_batch("CREATE TABLE t (x)").expect("a table");
        for n in 0..10 {
            connection.execute("INSERT INTO t VALUES (?1)", [n]).expect("a row");
        }
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).expect("it is moved");
        let log = path.with_file_name("a.db-wal");
        assert_eq!(damage(&log, &path).expect("it can be read"), None);
        // A header that was half written when the log was begun anew.
        let mut torn = fs::read(&log).expect("there is a log");
        torn[..HEADER / 2].fill(7);
        fs::write(&log, &torn).expect("it can be written");
        assert_eq!(damage(&log, &path).expect("it can be read"), None);
        connection.execute("INSERT INTO t VALUES (11)", []).expect("a row");
        assert_eq!(damage(&log, &path).expect("it can be read"), None);
    }
}
