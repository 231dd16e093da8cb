//! Throughput in memory, against how many are in flight.

use std::time::Duration;

use crate::bus::{by_handle, by_name, on_tokio};
use crate::floors::{alone, boxed, channels, spawns};
use crate::interleave::{Contender, interleave};
use crate::peers::IN_MEMORY;
use crate::process::{child, tell};
use crate::results::Row;
use crate::scale::Scale;
use crate::stats::each;

/// How many are in flight where floors and peers are measured too.
const MANY: usize = 1_024;

/// Goes through so many rounds, with so many in flight.
type Measure = fn(usize, usize) -> Duration;

/// What is measured here beside the peers, each in a process of its own as these are: one that follows another in a process
/// has what that has left in memory.
const OWN: [(&str, Measure); 6] = [
    ("two bare spawns", |count, in_flight| on_tokio(spawns(count, in_flight))),
    ("zato, by name", |count, in_flight| on_tokio(by_name(count, in_flight))),
    ("zato, by handle", |count, in_flight| on_tokio(by_handle(count, in_flight))),
    ("two channel hops", |count, in_flight| on_tokio(channels(count, in_flight))),
    ("payload and UUIDv7 alone", |count, _| alone(count)),
    ("two spawns, box, look-up, panics caught", |count, in_flight| on_tokio(boxed(count, in_flight))),
];

/// So many of them are measured whatever is in flight.
const EVERYWHERE: usize = 4;

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    [1, 16, 128, MANY, 8_192].into_iter().flat_map(|in_flight| with(scale, in_flight)).collect()
}

fn with(scale: &Scale, in_flight: usize) -> Vec<Row> {
    // One at a time, threads sleep and wake: fewer rounds say as much.
    let count = if in_flight == 1 { scale.rounds / 10 } else { scale.rounds };
    let measured = if in_flight == MANY { OWN.len() } else { EVERYWHERE };
    let own = |(name, _): &(&'static str, Measure)| {
        let arguments = [(*name).to_owned(), count.to_string(), in_flight.to_string()];
        Contender::fallible(*name, move || child("rounds in memory", &arguments).map(|nanos| nanos[0]))
    };
    let mut contenders: Vec<_> = OWN[..measured].iter().map(own).collect();
    if in_flight == MANY || in_flight == 1 {
        for peer in IN_MEMORY {
            contenders.push(Contender::fallible(peer.name, move || peer.round(count, in_flight)));
        }
    }
    // Where the bars stand that are close to what is measured.
    let repeats = if in_flight == MANY { 2 * scale.repeats } else { scale.repeats };
    let rows = interleave(repeats, "ns a round", Some("two spawns"), contenders);
    rows.into_iter().map(|row| row.at(in_flight)).collect()
}

/// One of them, with how many rounds, and how many of these in flight.
pub(crate) fn child_rounds(arguments: &[String]) {
    let [count, in_flight] = [1, 2].map(|at| arguments[at].parse().expect("a number"));
    let (_, measure) = OWN.iter().find(|(name, _)| *name == arguments[0]).expect("there is such a one");
    tell(&[each(measure(count, in_flight), count)])
}
