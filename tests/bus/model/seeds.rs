//! Random scripts, as many as are asked for, held against the rules.

use std::env;

use super::rules::check;
use super::run::happens;

/// How many seeds are tried unless told.
const SEEDS: u64 = 3_000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn every_script_ends_as_the_rules_say() {
    let seeds = match number("ZATO_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ZATO_TEST_SEEDS").unwrap_or(SEEDS),
    };
    let is_one = seeds.end - seeds.start == 1;
    for seed in seeds {
        let (events, world) = happens(seed, false);
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
}
