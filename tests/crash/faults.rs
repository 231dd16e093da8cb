//! Calls of the operating system that fail: what was told is kept, and nobody dies of it.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::child::{Life, RESERVE};
use crate::cut::{OF_CUTS, Recorded};
use crate::disk::{Directory, Syncs};
use crate::journal::{self, Line};
use crate::place::Place;
use crate::process::{Living, set};
use crate::receipts::{Bus, missing};
use crate::shim::{EIO, Fault, Kind, Shim};
use crate::small_disk::SmallDisk;
use crate::sweep::{Tried, sweep};
use crate::{number, peace, rows, trial};

/// How long a fault lasts that lasts for ever: then somebody has mended it.
const EVER: Duration = Duration::from_millis(200);

/// How long a child may go on after that. Who does not end is stuck.
const STUCK: Duration = Duration::from_mins(1);

/// What may be waited for is mended after this time, whether a fault was met or not.
const WAITED: Duration = Duration::from_secs(1);

/// How often it is looked whether a fault was met.
const LOOK: Duration = Duration::from_millis(10);

/// Runs it to its end; `mend` makes good again what fails for ever. Answers the code with which it ended.
fn lives(command: Command, shim: &Shim, mend: impl FnOnce()) -> Result<i32, String> {
    let mut living = Living::spawn(command).expect("the child can be started");
    let started = Instant::now();
    let (mut met, mut mend) = (None, Some(mend));
    while started.elapsed() < STUCK {
        if let Some(status) = living.has_ended(LOOK).expect("the child can be waited for") {
            return status.code().ok_or_else(|| format!("it ended with {status}"));
        }
        let has_lasted = shim.hits() > 0 && met.get_or_insert_with(Instant::now).elapsed() > EVER;
        if has_lasted || started.elapsed() > WAITED {
            mend.take().into_iter().for_each(|mend| mend());
        }
    }
    living.kill().expect("the child can be killed");
    Err(format!("it did not end within {STUCK:?}"))
}

/// Rows are written while this fails: what was told is there afterwards.
fn rows_meet(fault: Option<Fault>) -> (Place, Shim, Option<String>) {
    let place = Place::new();
    let shim = Shim::new();
    let mut command = place.command(rows::ROLE);
    rows::set(&mut command, "FULL", 60);
    place.watch(&shim, &mut command);
    if let Some(fault) = fault {
        shim.fail(fault);
    }
    let wrong = match lives(command, &shim, || shim.mend()) {
        Ok(0 | rows::GIVEN_UP) => rows::fault(&place.file(), &place.told()),
        Ok(code) => Some(format!("it ended with {code}")),
        Err(wrong) => Some(wrong),
    };
    let wrong = wrong.map(|wrong| format!("{wrong}\n{}", place.errors()));
    (place, shim, wrong)
}

#[test]
fn rows_are_kept_whatever_fails() {
    let (_, counts, wrong) = rows_meet(None);
    assert_eq!(wrong, None);
    let points = number::from("ZATO_TEST_FAULTS", 2);
    let swept = sweep(
        points,
        |kind: Kind| counts.count(kind),
        |fault| {
            let (_, shim, wrong) = rows_meet(Some(fault));
            Tried { hits: shim.hits(), wrong }
        },
    );
    println!("{} faults", swept.met);
    assert!(swept.missed.is_empty(), "these were not reached: {:?}", swept.missed);
    assert!(swept.wrong.is_empty(), "{} of {}:\n{}", swept.wrong.len(), swept.met, swept.wrong.join("\n"));
}

/// The test's own test: a program that goes on after a failed sync, as SQLite alone does, has told of rows that are lost
/// with the power, also if the next sync has succeeded. What failed to be written stays in the system's cache, and is
/// read from there, but is not written again.
#[test]
fn who_goes_on_after_a_failed_sync_is_found_out() {
    let found = (1..=20).find_map(|first| {
        let fault = Fault { kind: Kind::Sync, first, calls: 3, error: EIO, is_torn: false };
        let (place, _, wrong) = rows_meet(Some(fault));
        assert_eq!(wrong, None, "{fault:?}");
        let recorded = Recorded { before: Directory::new(), steps: place.steps() };
        let cuts = recorded.cuts(&mut Chance::new(number::from("ZATO_TEST_SEED", 1), OF_CUTS), 20);
        cuts.into_iter().find_map(|cut| {
            let (held, told) = recorded.lost(cut, Syncs::Work);
            rows::fault(&Place::with(&held, &told).file(), &told)
        })
    });
    println!("{}", found.expect("a row that was lost is found"));
}

/// How many faults each sort has on the bus, about, unless told; 0 for one at every call.
const POINTS: u64 = 8;

/// Two lives of the bus, the first while this fails. What is wrong in it, after it, and after a loss of power.
fn bus_meets(fault: Option<Fault>) -> (Shim, Option<String>) {
    let mut place = Place::new();
    let shim = Shim::new();
    if let Some(fault) = fault {
        shim.fail(fault);
    }
    let wrong = bus_lives(&place, &shim, || shim.mend(), 0).err().or_else(|| {
        let recorded = Recorded { before: Directory::new(), steps: place.steps() };
        let most = number::from("ZATO_TEST_CUTS", 1);
        let cuts = recorded.cuts(&mut Chance::new(number::from("ZATO_TEST_SEED", 1), OF_CUTS), most);
        peace::wrong(&place).or_else(|| {
            cuts.into_iter().find_map(|cut| {
                let (held, told) = recorded.lost(cut, Syncs::Work);
                let mut place = Place::with(&held, &told);
                let wrong = peace::wrong(&place)?;
                let (step, of) = (cut.steps, recorded.steps.len());
                Some(format!("power lost after step {step} of {of}: {wrong}\n  in {:?}", place.keep()))
            })
        })
    });
    let wrong = wrong.map(|wrong| format!("{wrong}\n  in {:?}, after a {:?}", place.keep(), shim.hit()));
    (shim, wrong)
}

/// Two lives of the bus, the first while something may fail, until somebody mends it.
fn bus_lives(place: &Place, shim: &Shim, mend: impl Fn(), reserve: usize) -> Result<(), String> {
    for number in [1, 2] {
        if number == 2 {
            mend();
        }
        let mut command = place.command(trial::ROLE);
        command.env(RESERVE, reserve.to_string());
        set(&mut command, Life { number, ..peace::life() }).expect("a life can be said");
        let other = Shim::new();
        let shim = if number == 1 { shim } else { &other };
        place.watch(shim, &mut command);
        match (number, lives(command, shim, &mend)?) {
            (_, 0) => {}
            (1, trial::REFUSED) if names_its_file(&place.errors(), place) => {}
            (_, code) => return Err(format!("life {number} ended with {code}: {}", place.errors())),
        }
    }
    let lines = journal::read(&place.journal()).map_err(|error| error.to_string())?;
    let nameless = lines.iter().find_map(|line| match line {
        Line::Refused { why, .. } => (!names_its_file(why, place)).then_some(why),
        _ => None,
    });
    nameless.map_or(Ok(()), |why| Err(format!("a call was refused, and not told of which file: {why}")))
}

fn names_its_file(error: &str, place: &Place) -> bool {
    error.contains(&*place.file().to_string_lossy())
}

#[test]
fn what_is_promised_outlives_whatever_fails() {
    let (counts, wrong) = bus_meets(None);
    assert_eq!(wrong, None);
    let points = number::from("ZATO_TEST_FAULTS", POINTS);
    let swept = sweep(
        points,
        |kind: Kind| counts.count(kind),
        |fault| {
            let (shim, wrong) = bus_meets(Some(fault));
            Tried { hits: shim.hits(), wrong }
        },
    );
    println!("{} faults", swept.met);
    assert!(swept.missed.is_empty(), "these were not reached: {:?}", swept.missed);
    assert!(swept.wrong.is_empty(), "{} of {}:\n{}", swept.wrong.len(), swept.met, swept.wrong.join("\n"));
}

/// The disk is full when the file has grown so much, and has room again later: who waited goes on.
#[test]
fn a_full_disk_is_waited_for() {
    for room in [0, 20_000, 60_000, 100_000, 150_000, 200_000] {
        let (place, shim) = (Place::new(), Shim::new());
        shim.limit(room);
        let wrong = bus_lives(&place, &shim, || shim.mend(), 0).err().or_else(|| peace::wrong(&place));
        assert_eq!(wrong, None, "room for {room} bytes");
        println!("room for {room} bytes: {} calls failed", shim.hits());
    }
}

/// The same on a real disk, as far as memory is one: where nothing is kept in reserve, calls are refused or wait when
/// the disk is full; else they wait before.
#[test]
fn a_disk_that_is_really_full_is_waited_for() {
    const KIB: usize = 8_192;
    for (left, reserve) in [(40, 0), (100, 0), (160, 0), (220, 0), (300, 0), (2_000, 4 << 20)] {
        let Some(disk) = SmallDisk::mount(KIB) else { return };
        let (place, shim) = (Place::new_in(disk.path()), Shim::new());
        disk.fill(KIB, left);
        let began = Instant::now();
        let lived = bus_lives(&place, &shim, || disk.clear(), reserve);
        let wrong = lived.err().or_else(|| peace::wrong(&place));
        assert_eq!(wrong, None, "room for {left} KiB");
        println!("room for {left} KiB: {} calls failed, {:?}", shim.hits(), began.elapsed());
    }
}

/// More calls than there is room for in a log that is never emptied, on a disk that is just larger than what is kept free.
fn go_on_on_a_small_disk(bus: &mut Bus, calls: usize) {
    for _ in 0..calls / 4 {
        assert_eq!(bus.calls(4), None);
    }
}

/// The room that the log holds is not waited for: it is emptied, and calls go on.
#[test]
fn what_the_log_holds_is_not_waited_for() {
    let (place, shim) = (Place::new(), Shim::new());
    let (room, reserve) = (21_u64 << 20, 16_u64 << 20);
    shim.limit(room);
    let mut command = Bus::command(&place.file(), &place.said());
    command.env(RESERVE, reserve.to_string());
    place.watch(&shim, &mut command);
    let mut bus = Bus::start(command).expect("it starts");
    go_on_on_a_small_disk(&mut bus, 4_000);
    let (receipts, status) = bus.stop();
    assert!(status.success(), "{status}: {}", place.errors());
    assert_eq!(receipts.len(), 4_000);
    // The oldest have been swept.
    assert_eq!(missing(&place.file(), &receipts[3_500..]), []);
}

/// The same on a small file system, with what is kept free by default.
#[test]
fn what_the_log_holds_is_not_waited_for_on_a_small_file_system() {
    const KIB: usize = 70 << 10;
    let Some(disk) = SmallDisk::mount(KIB) else { return };
    let place = Place::new_in(disk.path());
    let mut command = Bus::command(&place.file(), &place.said());
    command.env(RESERVE, (64_u64 << 20).to_string());
    let mut bus = Bus::start(command).expect("it starts");
    go_on_on_a_small_disk(&mut bus, 4_000);
    let (receipts, status) = bus.stop();
    assert!(status.success(), "{status}: {}", place.errors());
    assert_eq!(receipts.len(), 4_000);
}
