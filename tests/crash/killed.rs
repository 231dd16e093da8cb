//! The tests: kills at random moments, and the fault that they must find.

use std::env;

use crate::checker::Rule;
use crate::killer::{Plan, run};

/// How many kills there are unless told.
const KILLS: u32 = 300;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn what_is_promised_outlives_every_kill() {
    let seed = number("ZATO_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let kills = number("ZATO_TEST_KILLS").map_or(KILLS, |kills| u32::try_from(kills).expect("so many kills"));
    println!("seed {seed}, {kills} kills");
    let mut killed = run(Plan { seed, kills, with_poison: true, promises_early: false })
        .unwrap_or_else(|error| panic!("{error}"));
    println!(
        "{} lives: {} killed, {} killed by what they ran, {} stopped",
        killed.lives, killed.kills, killed.suicides, killed.stops
    );
    let faults = killed.faults();
    if !faults.is_empty() {
        let kept = killed.keep();
        let shown: Vec<_> = faults.iter().take(20).map(ToString::to_string).collect();
        panic!(
            "{} faults with seed {seed} and {kills} kills, in {}:\n  {}\n  again: ZATO_TEST_SEED={seed} \
             ZATO_TEST_KILLS={kills} cargo test -p zato-tests --test crash outlives",
            faults.len(),
            kept.display(),
            shown.join("\n  ")
        );
    }
}

/// The test of the test: a build that gives CIDs before they are on the disk does not pass.
#[test]
fn a_promise_before_its_commit_is_found_out() {
    let broken = (0..20).find_map(|seed| {
        let killed = run(Plan { seed, kills: 15, with_poison: false, promises_early: true })
            .unwrap_or_else(|error| panic!("{error}"));
        killed.faults().into_iter().find(|fault| fault.rule == Rule::Receipt)
    });
    println!("{}", broken.expect("a promise that was not kept is found within 300 kills"));
}
