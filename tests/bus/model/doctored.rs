//! The test of the test: what is lost, doubled or changed is found, and a rule that is wrong is found out.

use zato_core::{Ending, Payload};
use zato_runtime::{Cid, Outcome};

use super::facts::{Facts, Kind, Node, World};
use super::log::{Event, Record, Run};
use super::rules::check;
use super::run::happens;
use super::services::nobody;

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
            Event::InvocationInfo { cid: of, record } if of == cid => {
                let record = record.map(|record| Record { again_of: None, again: None, ..record });
                Some(Event::InvocationInfo { cid: other, record })
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
        Event::Left { cid, .. }
        | Event::Ended { cid, .. }
        | Event::Remembered { cid, .. }
        | Event::InvocationInfo { cid, .. } => Some(*cid),
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
                    let twice = doubled(&events, run.cid, nobody());
                    let fault = check(world, &twice).expect_err("a callback ran twice");
                    // One that was run again comes late for the first of its kind.
                    let is_found = fault.contains("once too often") || fault.contains("could start");
                    assert!(is_found, "seed {seed}: {fault}");
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

/// What begins while another of its key runs is found, and so is a step of a chain that comes before its turn: the
/// lines of an attempt are moved up to where the attempt before it is still under way.
#[test]
fn an_order_that_is_not_kept_is_refused() {
    let (mut keys, mut steps) = (0, 0);
    for seed in 0..150 {
        let (events, world) = happens(seed, true);
        let facts = Facts::new(world, &events).expect("a log");
        for node in facts.nodes.values() {
            let Some(began) = node.runs.first().map(|run| run.began.seq) else { continue };
            let last = |other: &Node| other.runs.last().and_then(|run| Some(run.left?.0.seq));
            let before = match node.kind {
                Kind::Step => facts.step_before(node),
                _ => facts.ahead(node).filter(|other| last(other) > Some(node.made.seq)).last(),
            };
            let Some(left) = before.and_then(last) else { continue };
            let mut early = events.clone();
            let line = early.remove(began);
            early.insert(left, line);
            assert!(check(world, &early).is_err(), "seed {seed}: {} begins early", node.cid);
            *(if node.kind == Kind::Step { &mut steps } else { &mut keys }) += 1;
        }
    }
    assert!(keys > 10 && steps > 50, "{keys}, {steps}");
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

/// A rule that pretends that nothing waits for its key wonders why things start so late.
#[test]
fn a_rule_that_forgets_keys_is_found_out() {
    let found = (0..150).filter(|seed| {
        let (events, world) = happens(*seed, true);
        check(World { ignores_keys: true, ..world }, &events).is_err()
    });
    assert!(found.count() > 5);
}
