//! The log of a process that was killed, damaged or taken away before the next start: nothing that was acknowledged is
//! dropped without a word.

use std::fs;
use std::process::Command;

use zato_core::Cid;

use crate::place::Place;
use crate::receipts::{Bus, missing};

fn start(place: &Place) -> Result<Bus, String> {
    Bus::start(Bus::command(&place.file(), &place.said()))
}

/// A store whose process was killed, and its receipts.
fn killed() -> (Place, Vec<Cid>) {
    let place = Place::new();
    let mut bus = start(&place).expect("it starts");
    for _ in 0..10 {
        assert_eq!(bus.calls(2), None);
    }
    let receipts = bus.kill();
    (place, receipts)
}

fn log(place: &Place) -> std::path::PathBuf {
    place.file().with_file_name("zato.db-wal")
}

#[test]
fn a_damaged_log_is_refused_and_the_cure_is_told() {
    let (place, receipts) = killed();
    let whole = fs::read(log(&place)).expect("there is a log");
    for part in [4, 2] {
        let mut damaged = whole.clone();
        let at = damaged.len() / part;
        damaged[at] ^= 1;
        fs::write(log(&place), &damaged).expect("it can be written");
        let refused = start(&place).map(Bus::kill).expect_err("it is damaged");
        assert!(refused.contains("is damaged: its frame") && refused.contains("keep a copy"), "{refused}");
        assert_eq!(fs::read(log(&place)).expect("it is there"), damaged, "it is left as it is");
    }
    // As it was: all is there.
    fs::write(log(&place), &whole).expect("it can be written");
    assert_eq!(missing(&place.file(), &receipts), []);
}

#[test]
fn a_damaged_log_can_be_cut_off_as_the_error_says() {
    let (place, receipts) = killed();
    let mut damaged = fs::read(log(&place)).expect("there is a log");
    let at = damaged.len() / 2;
    damaged[at] ^= 1;
    fs::write(log(&place), damaged).expect("it can be written");
    let refused = start(&place).map(Bus::kill).expect_err("it is damaged");
    let (_, command) = refused.split_once("cut it off with `").expect("there is a cure");
    let (command, _) = command.split_once('`').expect("it is quoted");
    let cut = Command::new("sh").args(["-c", command]).status().expect("there is a shell");
    assert!(cut.success(), "{command}");
    let mut bus = start(&place).expect("it starts");
    assert_eq!(bus.calls(1), None);
    bus.kill();
    let missing = missing(&place.file(), &receipts).len();
    assert!(missing > 0 && missing < receipts.len(), "what comes before the damage is kept: {missing}");
}

/// Whatever is done to the log after a kill, a start says that acknowledged calls are missing.
#[test]
fn a_log_that_is_taken_away_after_a_kill_is_missed() {
    type Change = (&'static str, fn(&std::path::Path));
    let changes: [Change; 4] = [
        ("removed", |log| fs::remove_file(log).expect("it can be removed")),
        ("emptied", |log| fs::write(log, "").expect("it can be emptied")),
        ("zeroed", |log| {
            let length = fs::metadata(log).expect("it is there").len();
            fs::write(log, vec![0; usize::try_from(length).expect("it fits")]).expect("it can be written");
        }),
        ("cut", |log| {
            let whole = fs::read(log).expect("it is there");
            fs::write(log, &whole[..whole.len() / 2]).expect("it can be written");
        }),
    ];
    for (how, change) in changes {
        let (place, receipts) = killed();
        let kept = fs::read(log(&place)).expect("there is a log");
        change(&log(&place));
        let refused = start(&place).map(Bus::kill).expect_err(how);
        assert!(refused.contains("that were acknowledged: its `-wal` file was removed"), "{how}: {refused}");
        // As the error says.
        fs::write(log(&place), kept).expect("it can be put back");
        start(&place).expect(how).kill();
        assert_eq!(missing(&place.file(), &receipts), [], "{how}");
    }
}

#[test]
fn a_store_without_its_log_can_be_used_as_the_error_says() {
    let (place, _) = killed();
    fs::remove_file(log(&place)).expect("it can be removed");
    start(&place).map(Bus::kill).expect_err("its log is missing");
    fs::remove_file(place.file().with_file_name("zato.db.lock")).expect("it can be removed");
    let mut bus = start(&place).expect("it starts");
    assert_eq!(bus.calls(1), None);
    bus.kill();
}

/// After a clean stop another copy of the store can be put in its place.
#[test]
fn a_stop_leaves_no_log_and_an_older_store_may_follow() {
    let place = Place::new();
    let mut bus = start(&place).expect("it starts");
    assert_eq!(bus.calls(5), None);
    let (early, status) = bus.stop();
    assert!(status.success());
    assert!(!log(&place).exists(), "everything in the log has been moved into the file");
    let backup = place.file().with_file_name("backup.db");
    fs::copy(place.file(), &backup).expect("it can be copied");
    let mut bus = start(&place).expect("it starts");
    assert_eq!(bus.calls(5), None);
    bus.stop();
    fs::rename(&backup, place.file()).expect("it can be moved");
    start(&place).expect("the backup starts").kill();
    assert_eq!(missing(&place.file(), &early), []);
}

#[test]
fn a_file_that_was_emptied_is_not_made_anew() {
    for has_log in [true, false] {
        for length in [0, 1] {
            let (place, _) = killed();
            fs::write(place.file(), vec![0; length]).expect("it can be written");
            if !has_log {
                fs::remove_file(log(&place)).expect("it can be removed");
            }
            let refused = start(&place).map(Bus::kill).expect_err("it was a store");
            assert!(refused.contains("it is empty, and was a store"), "{refused}");
            let found = fs::metadata(place.file()).expect("it is there").len();
            assert_eq!((found, log(&place).exists()), (length as u64, has_log), "all is left as it is");
        }
    }
}

#[test]
fn a_log_without_its_file_is_not_removed() {
    let (place, receipts) = killed();
    let away = place.file().with_file_name("away.db");
    fs::rename(place.file(), &away).expect("it can be moved");
    let refused = start(&place).map(Bus::kill).expect_err("its file is missing");
    assert!(refused.contains("its `-wal` file does"), "{refused}");
    fs::rename(&away, place.file()).expect("it can be moved");
    start(&place).expect("it starts").kill();
    assert_eq!(missing(&place.file(), &receipts), []);
}

/// A process that was killed before it had made a store is in nobody's way.
#[test]
fn an_empty_file_that_never_was_a_store_is_made_one() {
    let place = Place::new();
    fs::write(place.file(), "").expect("it can be written");
    fs::write(place.file().with_file_name("zato.db.lock"), "4194304\n").expect("it can be written");
    let mut bus = start(&place).expect("it starts");
    assert_eq!(bus.calls(1), None);
    let receipts = bus.kill();
    assert_eq!(missing(&place.file(), &receipts), []);
}
