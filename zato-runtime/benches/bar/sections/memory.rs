//! Throughput in memory, against how many are in flight.

use crate::bus::{by_handle, by_name, on_tokio};
use crate::floors::{alone, boxed, channels, spawns};
use crate::interleave::{Contender, interleave};
use crate::peers::IN_MEMORY;
use crate::results::Row;
use crate::scale::Scale;
use crate::stats::each;

/// How many are in flight where floors and peers are measured too.
const MANY: usize = 1_024;

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    [1, 16, 128, MANY, 8_192].into_iter().flat_map(|in_flight| with(scale, in_flight)).collect()
}

fn with(scale: &Scale, in_flight: usize) -> Vec<Row> {
    // One at a time, threads sleep and wake: fewer rounds say as much.
    let count = if in_flight == 1 { scale.rounds / 10 } else { scale.rounds };
    let mut contenders = vec![
        Contender::new("two bare spawns", || each(on_tokio(spawns(count, in_flight)), count)),
        Contender::new("zato, by name", || each(on_tokio(by_name(count, in_flight)), count)),
        Contender::new("zato, by handle", || each(on_tokio(by_handle(count, in_flight)), count)),
        Contender::new("two channel hops", || each(on_tokio(channels(count, in_flight)), count)),
    ];
    if in_flight == MANY {
        contenders.push(Contender::new("payload and UUIDv7 alone", || each(alone(count), count)));
        contenders.push(Contender::new("two spawns, box, look-up, panics caught", || {
            each(on_tokio(boxed(count, in_flight)), count)
        }));
    }
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
