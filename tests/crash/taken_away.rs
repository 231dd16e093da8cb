//! Files of a store that are taken away, replaced or given a second name while a bus runs on them: no receipt is given for
//! what nobody will find.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::place::Place;
use crate::receipts::{Bus, missing};

/// A bus that has given some receipts.
fn running(place: &Place) -> Bus {
    let mut bus = Bus::start(Bus::command(&place.file(), &place.said())).expect("it starts");
    assert_eq!(bus.calls(20), None);
    bus
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// No call is taken, for this reason.
fn is_refused(bus: &mut Bus, reason: &str) {
    let receipts = bus.receipts.len();
    for _ in 0..3 {
        let why = bus.calls(4).expect("no call is taken");
        assert!(why.contains(reason), "{why}");
    }
    assert_eq!(bus.receipts.len(), receipts, "nothing is acknowledged");
}

#[test]
fn a_file_that_is_deleted_gets_no_more_receipts() {
    let place = Place::new();
    let mut bus = running(&place);
    fs::remove_file(place.file()).expect("it can be removed");
    is_refused(&mut bus, "it was deleted");
    bus.kill();
}

#[test]
fn a_file_that_is_moved_away_gets_receipts_again_when_it_is_back() {
    let place = Place::new();
    let mut bus = running(&place);
    let away = beside(&place.file(), ".away");
    fs::rename(place.file(), &away).expect("it can be moved");
    is_refused(&mut bus, "it was moved away");
    fs::rename(&away, place.file()).expect("it can be moved");
    bus.calls_until_taken();
    let receipts = bus.kill();
    assert_eq!(missing(&place.file(), &receipts), []);
}

#[test]
fn another_file_in_its_place_is_left_alone() {
    let (place, other) = (Place::new(), Place::new());
    let (receipts, _) = running(&other).stop();
    let mut bus = running(&place);
    let away = beside(&place.file(), ".away");
    fs::rename(place.file(), &away).expect("it can be moved");
    fs::copy(other.file(), place.file()).expect("it can be copied");
    let before = fs::read(place.file()).expect("it can be read");
    is_refused(&mut bus, "another file was put in its place");
    assert_eq!(fs::read(place.file()).expect("it can be read"), before);
    fs::rename(&away, place.file()).expect("it can be moved");
    bus.calls_until_taken();
    let own = bus.kill();
    assert_eq!(missing(&place.file(), &own), []);
    assert_eq!(missing(&other.file(), &receipts), []);
}

#[test]
fn a_file_with_two_names_gets_no_receipts_and_no_second_owner() {
    let place = Place::new();
    let mut bus = running(&place);
    let link = beside(&place.file(), ".link");
    fs::hard_link(place.file(), &link).expect("it can be linked");
    is_refused(&mut bus, "it has 2 names");
    let refused = Bus::start(Bus::command(&link, &place.said())).expect_err("it has two names");
    assert!(refused.contains("it has 2 names"), "{refused}");
    fs::remove_file(&link).expect("it can be removed");
    bus.calls_until_taken();
    let receipts = bus.kill();
    assert_eq!(missing(&place.file(), &receipts), []);
}

/// The lock on the file itself keeps a second process out.
#[test]
fn a_lock_that_is_removed_lets_nobody_in_and_is_made_again() {
    let place = Place::new();
    let mut bus = running(&place);
    let lock = beside(&place.file(), ".lock");
    fs::remove_file(&lock).expect("it can be removed");
    let refused = Bus::start(Bus::command(&place.file(), &place.said())).expect_err("it has an owner");
    assert!(refused.contains("belongs to"), "{refused}");
    bus.calls_until_taken();
    assert_eq!(bus.calls(20), None);
    let refused = Bus::start(Bus::command(&place.file(), &place.said())).expect_err("it has an owner");
    assert!(refused.contains("belongs to process"), "{refused}");
    let receipts = bus.kill();
    assert_eq!(missing(&place.file(), &receipts), []);
}

/// What the log holds is moved into the file, and a new one is begun: all receipts are good, those before it too.
#[test]
fn a_log_that_is_removed_loses_nothing() {
    for endings in [&["-wal"][..], &["-shm"], &["-wal", "-shm"]] {
        let place = Place::new();
        let mut bus = running(&place);
        for _ in 0..3 {
            for ending in endings {
                fs::remove_file(beside(&place.file(), ending)).expect("it can be removed");
            }
            bus.calls_until_taken();
            assert_eq!(bus.calls(10), None);
        }
        let receipts = bus.kill();
        assert_eq!(missing(&place.file(), &receipts), [], "{endings:?}");
    }
}

/// A process that closes a file gives up the locks that SQLite has on it. Whoever looks at the store with `sqlite3` then is
/// the last to close it, as far as SQLite can tell, and would remove the log beneath the bus.
#[test]
fn a_program_may_read_its_own_store_while_another_looks_at_it() {
    let place = Place::new();
    let mut bus = running(&place);
    for _ in 0..3 {
        for ending in ["", "-wal", "-shm", ".lock"] {
            assert_eq!(bus.does(&format!("read {}", beside(&place.file(), ending).display())), "done");
        }
        let other = Connection::open(place.file()).expect("it opens");
        let count = other.query_row("SELECT count(*) FROM invocation", [], |row| row.get::<_, i64>(0));
        assert!(count.expect("it can be read") >= 20);
        other.close().expect("it closes");
        assert!(beside(&place.file(), "-wal").exists(), "the log is still there");
        assert_eq!(bus.calls(20), None);
    }
    let receipts = bus.kill();
    assert_eq!(receipts.len(), 80);
    assert_eq!(missing(&place.file(), &receipts), []);
}

#[test]
fn a_file_that_is_emptied_gets_no_more_receipts() {
    let place = Place::new();
    let mut bus = running(&place);
    fs::write(place.file(), "").expect("it can be emptied");
    is_refused(&mut bus, "it was emptied");
    bus.kill();
}
