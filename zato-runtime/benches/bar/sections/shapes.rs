//! The shapes of work: rounds of each beside bare tasks, the same written by hand, and peers; and on SQLite beside a bare
//! loop that writes the same rows.

use std::time::Duration;

use crate::bus::on_tokio;
use crate::interleave::{Contender, interleave};
use crate::peers::ACTORS_WITH_SHAPES;
use crate::process::{child, tell};
use crate::results::Row;
use crate::scale::Scale;
use crate::sections::latency;
use crate::shape::shapes::{SHAPES, Shape};
use crate::stats::each;
use crate::subjects::{bare, bare_sqlite, bus, by_hand};

/// The number of calls from outside that are in flight at once on SQLite.
const ON_SQLITE: usize = 256;

/// Goes through so many rounds of a shape.
type Measure = fn(Shape, usize) -> Duration;

/// What is measured beside the peers. Each run is a process of its own, as theirs are.
const OWN: [(&str, Measure); 3] = [
    ("bare tasks", |shape, count| on_tokio(bare::run(shape, count))),
    ("by hand", |shape, count| on_tokio(by_hand::run(shape, count))),
    ("zato", |shape, count| on_tokio(bus::run(shape, count))),
];

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let mut rows: Vec<_> = SHAPES.into_iter().flat_map(|shape| in_memory(scale, shape)).collect();
    rows.extend(latency::from_a_handler(scale));
    rows.extend(SHAPES.into_iter().flat_map(|shape| on_sqlite(scale, shape)));
    rows
}

fn in_memory(scale: &Scale, shape: Shape) -> Vec<Row> {
    let count = shape.rounds(scale.rounds);
    let name = |subject: &str| format!("{}: {subject}", shape.title);
    let mut contenders = Vec::new();
    for (subject, _) in OWN {
        let arguments = [subject.to_owned(), shape.name.to_owned(), count.to_string()];
        let measure = move || child("rounds of a shape", &arguments).map(|nanos| nanos[0]);
        contenders.push(Contender::fallible(name(subject), measure));
    }
    for peer in ACTORS_WITH_SHAPES {
        contenders.push(Contender::fallible(name(peer.name), move || peer.shape(count, shape)));
    }
    let rows = interleave(scale.repeats, "ns a round", Some("bare tasks"), contenders);
    rows.into_iter().map(|row| row.at(shape.in_flight)).collect()
}

/// Runs one of [`OWN`]: its name, the shape's, and the number of rounds.
pub(crate) fn child_rounds(arguments: &[String]) {
    let (_, measure) = OWN.iter().find(|(name, _)| *name == arguments[0]).expect("there is such a one");
    let shape = Shape::named(&arguments[1]).expect("there is such a shape");
    let count = arguments[2].parse().expect("a number");
    tell(&[each(measure(shape, count), count)])
}

fn on_sqlite(scale: &Scale, shape: Shape) -> Vec<Row> {
    let count = shape.rounds(scale.disk_rounds);
    let contenders = vec![
        Contender::new(format!("{}: bare SQLite", shape.title), || {
            each(on_tokio(bare_sqlite::run(shape, count, ON_SQLITE)), count)
        }),
        Contender::new(format!("{}: zato on SQLite", shape.title), || {
            each(on_tokio(bus::run_on_sqlite(shape, count, ON_SQLITE)), count)
        }),
    ];
    let rows = interleave(scale.repeats, "ns a round", Some("bare SQLite"), contenders);
    rows.into_iter().map(|row| row.at(ON_SQLITE)).collect()
}
