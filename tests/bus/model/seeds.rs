//! Random scripts, as many as are asked for, held against the rules.

use std::env;
use std::panic::resume_unwind;

use super::facts::World;
use super::log::Event;
use super::rules::check;
use super::run::{happens, happens_with_restarts};

/// How many seeds are tried unless told.
const SEEDS: u64 = 3_000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Of those with restarts on a disk.
const SEEDS_WITH_RESTARTS: u64 = 200;

#[test]
fn every_script_ends_as_the_rules_say() {
    try_seeds(SEEDS, |seed| happens(seed, false));
}

/// On an engine that keeps what it holds, through restarts.
#[test]
fn every_script_ends_as_the_rules_say_also_through_restarts() {
    try_seeds(SEEDS_WITH_RESTARTS, happens_with_restarts);
}

fn try_seeds(unless_told: u64, happens: impl Fn(u64) -> (Vec<(u64, Event)>, World) + Copy + Send) {
    let seeds = match number("ZATO_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ZATO_TEST_SEEDS").unwrap_or(unless_told),
    };
    let is_one = seeds.end - seeds.start == 1;
    // Each seed is a world of its own: two threads take turns.
    std::thread::scope(|scope| {
        let mut halves = Vec::new();
        for half in 0..2 {
            let seeds = seeds.clone().filter(move |seed| seed % 2 == half);
            halves.push(scope.spawn(move || seeds.for_each(|seed| try_seed(seed, is_one, happens))));
        }
        for half in halves {
            half.join().unwrap_or_else(|fault| resume_unwind(fault));
        }
    });
}

/// Tries one, and prints its log if it is tried alone.
fn try_seed(seed: u64, is_one: bool, happens: impl Fn(u64) -> (Vec<(u64, Event)>, World)) {
    let (events, world) = happens(seed);
    let checked = check(world, &events);
    if is_one {
        for (at, event) in &events {
            println!("{at:>7} {event:?}");
        }
    }
    if let Err(fault) = checked {
        panic!(
            "seed {seed}: {fault}\n  again: ZATO_TEST_SEED={seed} cargo test -p zato-tests --test bus model:: -- \
             --nocapture"
        );
    }
}
