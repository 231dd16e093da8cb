//! The tests: kills at random moments, a service that kills its process, and the fault that must be found.

use std::env;

use crate::checker::{Fault, Rule};
use crate::child::Load;
use crate::killer::{Killed, Plan, run};
use crate::maker::LOSSES;

/// How many kills there are unless told.
const KILLS: u32 = 300;

/// How many runs, and kills in each, the fault has to be found in.
const RUNS: u64 = 20;
const KILLS_EACH: u32 = 15;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn done(plan: Plan) -> Killed {
    run(plan).unwrap_or_else(|error| panic!("seed {}: {error}", plan.seed))
}

/// Panics if there are faults, with the first of them and where to look.
fn no_faults(killed: &mut Killed, plan: Plan) {
    let faults = killed.faults();
    if faults.is_empty() {
        return;
    }
    let kept = killed.keep();
    let shown: Vec<_> = faults.iter().take(20).map(Fault::to_string).collect();
    let Plan { seed, kills, .. } = plan;
    panic!(
        "{} faults with seed {seed} and {kills} kills, in {}:\n  {}\n  again: ZATO_TEST_SEED={seed} \
         ZATO_TEST_KILLS={kills} cargo test -p zato-tests --test crash killed::",
        faults.len(),
        kept.display(),
        shown.join("\n  ")
    );
}

#[test]
fn what_is_promised_outlives_every_kill() {
    let seed = number("ZATO_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let kills = number("ZATO_TEST_KILLS").map_or(KILLS, |kills| u32::try_from(kills).expect("so many kills"));
    println!("seed {seed}, {kills} kills");
    let plan = Plan::new(seed, kills);
    let mut killed = done(plan);
    println!(
        "{} lives: {} killed, {} killed by what they ran, {} stopped",
        killed.lives, killed.kills, killed.suicides, killed.stops
    );
    println!("{}", killed.losses());
    no_faults(&mut killed, plan);
}

/// It is lost when it has killed its process as often as it may, and takes none of those along that ran beside it.
#[test]
fn what_kills_its_process_is_lost_alone() {
    let plan = Plan { last: Load::Crowd, ..Plan::new(0, 0) };
    let mut killed = done(plan);
    no_faults(&mut killed, plan);
    assert_eq!((killed.suicides, killed.stops), (LOSSES, 1));
    let losses = killed.losses();
    assert_eq!((losses.poisons, losses.innocents), (1, 0), "{losses}");
}

/// What waits in a line that is longer than what the engine holds of it runs in its order, each once.
#[test]
fn a_long_line_outlives_kills() {
    let seed = number("ZATO_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let plan = Plan { load: Load::Line, lives_for: 1_500, ..Plan::new(seed, KILLS_EACH) };
    println!("seed {seed}, {KILLS_EACH} kills");
    no_faults(&mut done(plan), plan);
}

/// The test of the test: a build that gives CIDs before they are on the disk does not pass.
#[test]
fn a_promise_before_its_commit_is_found_out() {
    let load = Load::Random { with_poison: false };
    let broken = (0..RUNS).find_map(|seed| {
        let plan = Plan { load, promises_early: true, ..Plan::new(seed, KILLS_EACH) };
        done(plan).faults().into_iter().find(|fault| fault.rule == Rule::Receipt)
    });
    println!("{}", broken.expect("a promise that was not kept is found"));
}
