//! The model test: random scripts, run on a paused clock, and what came of them held against the rules.
//!
//! `ZATO_TEST_SEEDS` says how many seeds are tried, `ZATO_TEST_SEED` tries one alone.

mod script;
mod world;
mod facts;
mod rules;

use std::collections::BTreeSet;
use std::env;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};
use zato_core::{Ending, Payload};
use zato_runtime::{Cid, Outcome, Runtime};

use self::facts::{GRACE, World};
use self::rules::check;
use self::script::{Act, Plan, plan};
use self::world::{Door, Event, Log, Run, services};

async fn run(plan: &Plan) -> (Vec<(u64, Event)>, Log, World) {
    let (wall, builder) = loop {
        let wall = SystemTime::now();
        let builder = Runtime::builder();
        // The bus has its own beginning of time, which must be ours.
        if wall.elapsed().is_ok_and(|elapsed| elapsed < Duration::from_millis(2)) {
            break (wall, builder);
        }
    };
    let (log, began) = (Log::new(wall), Instant::now());
    let (at, limit) = plan.shutdown;
    let builder = builder
        .services(services())
        .provide(log.clone())
        .cancel_grace(Duration::from_millis(GRACE))
        .keep_ended(1_000_000)
        .max_running(plan.max_running.unwrap_or(10_000))
        .drain_limit(Duration::from_millis(limit));
    let runtime = builder.start().await.expect("it starts");
    log.set_runtime(Some(runtime.clone()));
    let outside = async {
        for (at, act) in &plan.acts {
            sleep_until(began + Duration::from_millis(*at)).await;
            let door = Door::Outside(&runtime);
            match act {
                Act::Call(call) => drop(door.call(&log, call).await),
                Act::Group(group) => drop(door.group(&log, group).await),
                Act::Cancel(number, with_tree) => {
                    let known = log.known();
                    if let Some(cid) = known.get(number % known.len().max(1)) {
                        door.cancel(&log, *cid, *with_tree).await;
                    }
                }
            }
        }
    };
    let shutdown = async {
        sleep_until(began + Duration::from_millis(at)).await;
        log.push(Event::ShutdownBegan { limit });
        runtime.shutdown().await.expect("it shuts down");
        log.push(Event::ShutdownEnded);
    };
    tokio::join!(outside, shutdown);
    sleep(Duration::from_millis(1)).await;
    let mut events = log.take();
    for cid in seen(&events) {
        let outcome = runtime.outcome(cid).await.ok();
        events.push((u64::MAX, Event::Remembered { cid, outcome }));
    }
    log.set_runtime(None);
    (events, log, World { wall, is_narrow: plan.max_running.is_some(), more_attempts: 0 })
}

/// Every CID that anybody has seen.
fn seen(events: &[(u64, Event)]) -> BTreeSet<Cid> {
    let mut cids = BTreeSet::new();
    for (_, event) in events {
        match event {
            Event::Began(run) => cids.extend(run.in_reply_to.into_iter().chain([run.cid])),
            Event::Taken { answer: Ok(cid), .. } => cids.extend([*cid]),
            Event::Ended { outcome, .. } => {
                let rows =
                    outcome.as_ref().and_then(|outcome| outcome.payload()?.decode::<Vec<Value>>().ok());
                let cid = |row: &Value| row["cid"].as_str()?.parse::<Cid>().ok();
                cids.extend(rows.iter().flatten().filter_map(cid));
            }
            _ => {}
        }
    }
    cids
}

/// What happens with this seed.
fn happens(seed: u64, is_calm: bool) -> (Vec<(u64, Event)>, World) {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let tokio = tokio.expect("tokio");
    let plan = plan(seed, is_calm);
    let (mut events, log, world) = tokio.block_on(run(&plan));
    // What still runs is dropped, and says so.
    drop(tokio);
    events.extend(log.take());
    (events, world)
}

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

/// All lines of one CID under another.
fn doubled(events: &[(u64, Event)], cid: Cid, other: Cid) -> Vec<(u64, Event)> {
    let copied = events.iter().flat_map(|(at, event)| {
        let copy = match event.clone() {
            Event::Began(run) if run.cid == cid => Some(Event::Began(Run { cid: other, ..run })),
            Event::Left { cid: of, how } if of == cid => Some(Event::Left { cid: other, how }),
            Event::Ended { cid: of, outcome } if of == cid => Some(Event::Ended { cid: other, outcome }),
            Event::Remembered { cid: of, outcome } if of == cid => {
                Some(Event::Remembered { cid: other, outcome })
            }
            _ => None,
        };
        [Some((*at, event.clone())), copy.map(|copy| (*at, copy))].into_iter().flatten()
    });
    copied.collect()
}

/// Whose line it is.
fn of(event: &Event) -> Option<Cid> {
    match event {
        Event::Began(run) => Some(run.cid),
        Event::Left { cid, .. } | Event::Ended { cid, .. } | Event::Remembered { cid, .. } => Some(*cid),
        _ => None,
    }
}

/// The same with another outcome.
fn changed(events: &[(u64, Event)], of: Cid) -> Vec<(u64, Event)> {
    let mut events = events.to_vec();
    for (_, event) in &mut events {
        if let Event::Ended { cid, outcome: Some(outcome) }
        | Event::Remembered { cid, outcome: Some(outcome) } = event
            && *cid == of
        {
            *outcome = match outcome {
                Outcome::Cancelled(_) => Outcome::Completed(Payload::empty()),
                _ => Outcome::Cancelled(Ending::new("it was not", false)),
            };
        }
    }
    events
}

/// The test of the test: what is lost, doubled or changed is found.
#[test]
fn a_log_that_is_not_true_is_refused() {
    let (mut lines, mut callbacks, mut outcomes) = (0, 0, 0);
    for seed in 0..12 {
        let (events, world) = happens(seed, true);
        check(world, &events).expect("the log as it is");
        for (index, (at, event)) in events.iter().enumerate() {
            match event {
                Event::Began(run) if run.in_reply_to.is_some() && run.attempt == 1 => {
                    let without: Vec<_> =
                        events.iter().filter(|(_, event)| of(event) != Some(run.cid)).cloned().collect();
                    assert!(check(world, &without).is_err(), "seed {seed}: the callback {} is lost", run.cid);
                    let twice = doubled(&events, run.cid, world::nobody());
                    let fault = check(world, &twice).expect_err("a callback ran twice");
                    assert!(fault.contains("once too often"), "seed {seed}: {fault}");
                    callbacks += 1;
                }
                Event::Ended { cid, .. } => {
                    let wrong = changed(&events, *cid);
                    assert!(check(world, &wrong).is_err(), "seed {seed}: the outcome of {cid} is another");
                    outcomes += 1;
                }
                _ => {}
            }
            if matches!(event, Event::Began(_) | Event::Left { .. } | Event::Ended { .. }) {
                let (mut without, mut twice) = (events.clone(), events.clone());
                without.remove(index);
                twice.insert(index, (*at, event.clone()));
                assert!(check(world, &without).is_err(), "seed {seed}: without {event:?}");
                assert!(check(world, &twice).is_err(), "seed {seed}: twice {event:?}");
                lines += 1;
            }
        }
    }
    assert!(lines > 200 && callbacks > 30 && outcomes > 50, "{lines}, {callbacks}, {outcomes}");
}

/// A rule that allows one attempt more misses it, wherever attempts are used up.
#[test]
fn a_rule_that_is_wrong_is_found_out() {
    let found = (0..40).filter(|seed| {
        let (events, world) = happens(*seed, true);
        check(World { more_attempts: 1, ..world }, &events).is_err()
    });
    assert!(found.count() > 10);
}
