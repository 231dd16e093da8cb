//! Throughput on disk, against how many are in flight.

use std::time::Duration;

use crate::bus::{bus, on_tokio, tasks};
use crate::disk::{self, Ended};
use crate::interleave::{Contender, interleave};
use crate::peers::ON_DISK;
use crate::place;
use crate::results::Row;
use crate::scale::Scale;
use crate::shape::rounds::Rounds;
use crate::stats::each;

/// How many are in flight where peers are measured too.
const MANY: usize = 256;

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    [1, 16, MANY, 2_048].into_iter().flat_map(|in_flight| with(scale, in_flight)).collect()
}

fn with(scale: &Scale, in_flight: usize) -> Vec<Row> {
    let count = if in_flight == 1 { scale.disk_rounds / 20 } else { scale.disk_rounds };
    let mut contenders = vec![
        Contender::new("bare SQLite, the same rows", || {
            each(on_tokio(disk::rounds(count, in_flight, Ended::Kept)), count)
        }),
        Contender::new("zato", || each(on_tokio(sqlite(count, in_flight, 1_000_000)), count)),
        Contender::new("bare SQLite, deleting", || {
            each(on_tokio(disk::rounds(count, in_flight, Ended::Deleted)), count)
        }),
    ];
    if in_flight == MANY {
        contenders.push(Contender::new("bare SQLite, sweeping", || {
            each(on_tokio(disk::rounds(count, in_flight, Ended::Swept)), count)
        }));
        let sweeping = move || each(on_tokio(sqlite(count, in_flight, disk::KEPT)), count);
        contenders.push(Contender::new("zato, sweeping", sweeping));
        for peer in ON_DISK {
            contenders.push(Contender::fallible(peer.name, move || peer.round(count / 10, in_flight)));
        }
    }
    let rows = interleave(scale.repeats.min(5), "ns a round", Some("bare"), contenders);
    rows.into_iter().map(|row| row.at(in_flight)).collect()
}

async fn sqlite(count: usize, in_flight: usize, kept: usize) -> Duration {
    let directory = place::directory();
    let engine = format!("sqlite:{}", directory.path().join("zato.db").display());
    let rounds = Rounds::new(in_flight);
    let runtime = bus(&engine, &rounds).keep_ended(kept).start().await.expect("it starts");
    let took = tasks(&runtime, &rounds, count).await;
    runtime.shutdown().await.expect("it ends");
    took
}
