//! Loss of power, as far as software can show it: what children write and sync is recorded once, and the power is lost
//! at many points of the record.

use std::thread;

use crate::chance::Chance;
use crate::child::{Life, Load, Task};
use crate::cut::{Cut, OF_CUTS, Recorded};
use crate::disk::{Directory, Syncs};
use crate::place::Place;
use crate::process::set;
use crate::programs::Program;
use crate::shim::Shim;
use crate::{number, peace, rows};

/// Where the power is lost unless told otherwise: at so many points.
const CUTS: u64 = 100;

/// How many records of the bus there are, each with its seed.
const RECORDS: u64 = 4;

/// The power is lost a second time, in what follows the first, once in so many.
const TWICE: usize = 4;

/// What is wrong after each cut, as `wrong` finds it in what is there and of what had been told.
fn all_wrong(
    recorded: &Recorded,
    cuts: &[Cut],
    syncs: Syncs,
    wrong: impl Fn(&mut Place, Cut) -> Option<String> + Sync,
) -> Vec<String> {
    let of = |cuts: &[Cut]| -> Vec<String> {
        let found = cuts.iter().filter_map(|cut| {
            let (held, told) = recorded.lost(*cut, syncs);
            let mut place = Place::with(&held, &told);
            let wrong = wrong(&mut place, *cut)?;
            Some(format!("power lost after step {} of {}: {wrong}", cut.steps, recorded.steps.len()))
        });
        found.collect()
    };
    let (first, second) = cuts.split_at(cuts.len() / 2);
    thread::scope(|scope| {
        let second = scope.spawn(|| of(second));
        let mut wrong = of(first);
        wrong.extend(second.join().expect("the other half ends"));
        wrong
    })
}

fn seed() -> u64 {
    number::from("ZATO_TEST_SEED", 1)
}

fn cuts() -> u64 {
    number::from("ZATO_TEST_CUTS", CUTS)
}

/// What was done here, which comes to what is there.
fn recorded(place: &Place) -> Recorded {
    let recorded = Recorded { before: Directory::new(), steps: place.steps() };
    assert!(recorded.whole() == place.held(), "not all that was written was recorded");
    recorded
}

/// The rows that a child writes with this setting, recorded.
fn recorded_rows(synchronous: &str) -> Recorded {
    let place = Place::new();
    let mut command = place.command(rows::ROLE);
    rows::set(&mut command, synchronous, 200);
    let shim = Shim::new();
    place.watch(&shim, &mut command);
    let status = command.status().expect("the child can be started");
    assert!(status.success(), "{status}: {}", place.errors());
    recorded(&place)
}

fn rows_wrong(recorded: &Recorded, syncs: Syncs) -> Vec<String> {
    let cuts = recorded.cuts(&mut Chance::new(seed(), OF_CUTS), cuts());
    all_wrong(recorded, &cuts, syncs, |place, _| rows::fault(&place.file(), &place.told()))
}

#[test]
fn rows_that_were_committed_and_synced_survive() {
    let wrong = rows_wrong(&recorded_rows("FULL"), Syncs::Work);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The test's own test: it sees what is lost where commits are not synced, or not at once, or the disk lies.
#[test]
fn rows_that_were_not_synced_are_missed() {
    for synchronous in ["OFF", "NORMAL"] {
        assert!(!rows_wrong(&recorded_rows(synchronous), Syncs::Work).is_empty(), "{synchronous}");
    }
    assert!(!rows_wrong(&recorded_rows("FULL"), Syncs::Lie).is_empty());
}

/// Two lives of the bus under load, one after the other, with this seed.
fn recorded_bus(seed: u64) -> Recorded {
    let place = Place::new();
    for (number, task) in [(1, Task::Stop(300)), (2, Task::End)] {
        let mut command = place.command("child");
        let load = Load::Random { with_poison: false };
        set(&mut command, Life { seed, number, load, task, program: Program::Whole, promises_early: false })
            .expect("a life can be said");
        let shim = Shim::new();
        place.watch(&shim, &mut command);
        let status = command.status().expect("the child can be started");
        assert!(status.success(), "seed {seed}, life {number}: {status}: {}", place.errors());
    }
    recorded(&place)
}

/// The power is lost again while the bus brings what is left to its end.
fn loses_power_again(place: &mut Place, cut: Cut) {
    let before = place.held();
    let told = place.told();
    let mut command = place.command("child");
    set(&mut command, peace::life()).expect("a life can be said");
    let shim = Shim::new();
    place.watch(&shim, &mut command);
    // How it ends is told by the life after it.
    command.status().expect("the child can be started");
    let recorded = Recorded { before, steps: place.steps() };
    let again = recorded.cuts(&mut Chance::new(cut.seed, OF_CUTS), 1)[0];
    let (held, told_since) = recorded.lost(again, Syncs::Work);
    *place = Place::with(&held, &(told + &told_since));
}

fn bus_wrong(recorded: &Recorded, seed: u64, count: u64, syncs: Syncs) -> Vec<String> {
    let cuts = recorded.cuts(&mut Chance::new(seed, OF_CUTS), count);
    all_wrong(recorded, &cuts, syncs, |place, cut| {
        if syncs == Syncs::Work && cut.steps.is_multiple_of(TWICE) {
            loses_power_again(place, cut);
        }
        let wrong = peace::wrong(place)?;
        let kept = if syncs == Syncs::Work { format!("\n  in {:?}", place.keep()) } else { String::new() };
        Some(format!("{wrong}{kept}"))
    })
}

#[test]
fn what_is_promised_outlives_a_loss_of_power() {
    let first = seed();
    for seed in first..first + RECORDS {
        let wrong = bus_wrong(&recorded_bus(seed), seed, cuts().div_ceil(RECORDS), Syncs::Work);
        assert!(wrong.is_empty(), "seed {seed}, {} times:\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// The test's own test: a disk that has not synced what it says it has is found out.
#[test]
fn a_promise_on_a_disk_that_lies_is_found_out() {
    let wrong = bus_wrong(&recorded_bus(seed()), seed(), 10, Syncs::Lie);
    assert!(wrong.iter().any(|wrong| wrong.contains("Receipt")), "{}", wrong.join("\n"));
}
