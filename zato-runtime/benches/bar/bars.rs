//! The bars: what each figure is held against.

use crate::results::{Results, Row};
use crate::shape::shapes::{SHAPES, Shape};

/// A bar, and what was measured.
pub(crate) struct Held {
    pub(crate) what: String,
    pub(crate) bar: String,
    pub(crate) measured: String,
    /// `None` where it was not measured.
    pub(crate) is_met: Option<bool>,
}

impl Held {
    /// Says whether the bar is met.
    pub(crate) fn word(&self) -> &'static str {
        match self.is_met {
            Some(true) => "met",
            Some(false) => "**not met**",
            None => "",
        }
    }
}

const MOST: &str = "at most";

const LEAST: &str = "at least";

/// A ratio that is at most, or at least, so much.
fn ratio(what: impl Into<String>, measured: Option<f64>, (word, bar): (&str, f64), of: &str) -> Held {
    let is_met = measured.map(|measured| if word == MOST { measured <= bar } else { measured >= bar });
    Held { what: what.into(), bar: format!("{word} {bar} x {of}"), measured: times(measured), is_met }
}

fn times(measured: Option<f64>) -> String {
    measured.map_or("not measured".to_owned(), |measured| format!("{measured:.2} x"))
}

fn figure(what: &str, of: Option<f64>, most: f64, unit: &str) -> Held {
    let measured = of.map_or("not measured".to_owned(), |of| format!("{of:.1} {unit}"));
    let bar = format!("at most {most} {unit}");
    Held { what: what.to_owned(), bar, measured, is_met: of.map(|of| of <= most) }
}

/// The bars of a section.
pub(crate) fn of(section: &str, results: &Results) -> Vec<Held> {
    match section {
        "shapes" => {
            let shapes = SHAPES.into_iter().flat_map(|shape| of_shape(shape, results));
            shapes.chain([called_by_a_handler(results)]).collect()
        }
        "memory" => memory(results),
        "latency" => latency(results),
        "spread" => spread(results),
        "waiting" => waiting(results),
        "fan-out" => fan_out(results),
        "payload" => payload(results),
        "durable" => durable(results),
        "receipt" => receipt(results),
        "backlog" => backlog(results),
        "keys" => keys(results),
        "services" => services(results),
        "compile" => compiled(results),
        _ => Vec::new(),
    }
}

/// The columns of the table of shapes: what a shape is compared with.
pub(crate) const COMPARED: [&str; 5] = ["bare tasks", "by hand", "kameo", "ractor", "bare SQLite, its rate"];

/// The bars of a shape, in the order of [`COMPARED`].
pub(crate) fn of_shape(shape: Shape, results: &Results) -> [Held; 5] {
    let row = |subject: &str| format!("{}: {subject}", shape.title);
    let by = |other| results.ratio("shapes", (&row("zato"), None), (&row(other), None));
    let against = |other, most| ratio(row(&format!("against {other}")), by(other), (MOST, most), other);
    let rate = results.ratio("shapes", (&row("bare SQLite"), None), (&row("zato on SQLite"), None));
    let bare = match shape.most {
        Some(most) => against("bare tasks", most),
        None => Held {
            what: row("against bare tasks"),
            bar: "no bar".to_owned(),
            measured: times(by("bare tasks")),
            is_met: None,
        },
    };
    [
        bare,
        against("by hand", 0.75),
        against("kameo", 1.0),
        against("ractor", 1.2),
        ratio(row("on SQLite, its rate"), rate, (LEAST, 0.7), "bare SQLite"),
    ]
}

/// The bar of the latency of a callback whose target a handler calls.
pub(crate) fn called_by_a_handler(results: &Results) -> Held {
    let (handler, task) =
        ("a callback from a handler, zato, p50", "a callback from a task, bare spawns, p50");
    let measured = results.ratio("shapes", (handler, None), (task, None));
    ratio("a callback from a handler, latency, p50", measured, (MOST, 2.0), "two spawns")
}

fn memory(results: &Results) -> Vec<Held> {
    let many = Some(1_024.0);
    let by = |one, other| results.ratio("memory", (one, many), (other, many));
    let name = "zato, by name";
    vec![
        ratio("memory, by name, 1,024 in flight", by(name, "two bare spawns"), (MOST, 0.75), "two spawns"),
        ratio("the same, by handle", by("zato, by handle", name), (MOST, 1.05), "by name"),
        ratio("memory, against ractor", by(name, "ractor"), (MOST, 1.0), "ractor"),
        ratio("memory, against kameo", by(name, "kameo"), (MOST, 1.0), "kameo"),
        ratio("memory, against apalis", by(name, "apalis"), (MOST, 1.0), "apalis"),
    ]
}

fn latency(results: &Results) -> Vec<Held> {
    let by = |of| {
        let of = |who| format!("{who}, {of}");
        results.ratio("latency", (&of("zato, by name"), None), (&of("two bare spawns"), None))
    };
    vec![
        ratio("latency, p50", by("p50"), (MOST, 1.5), "two spawns"),
        ratio("latency, p99", by("p99"), (MOST, 1.0), "two spawns"),
    ]
}

fn spread(results: &Results) -> Vec<Held> {
    let by = |one, other| results.ratio("spread", (one, None), (other, None));
    let one = "one producer, one service";
    let sleeping = by("10,000 handlers that sleep for 1 ms", "10,000 tasks that sleep for 1 ms");
    vec![
        ratio("four producers", by("four producers, one service", one), (MOST, 1.05), "one"),
        ratio("sixteen services", by("one producer, sixteen services", one), (MOST, 1.05), "one"),
        ratio("10,000 that sleep for 1 ms", sleeping, (MOST, 1.3), "bare tasks"),
    ]
}

fn waiting(results: &Results) -> Vec<Held> {
    let each = results.median("waiting", "resident memory of one that waits (due)", None);
    let idle = |delayed| {
        let is_it = |row: &&Row| row.name.ends_with("context switches") && row.at == Some(delayed);
        Some(results.rows("waiting").iter().find(is_it)?.spread?.median)
    };
    let more = idle(100_000.0).zip(idle(0.0)).map(|(many, none)| (many - none).max(0.0));
    vec![
        figure("one that waits in memory", each, 512.0, "bytes"),
        // To look takes from four to eight.
        figure("idle, 100,000 delayed", more, 4.0, "context switches more than with none"),
    ]
}

fn fan_out(results: &Results) -> Vec<Held> {
    let (single, member) = ("single invocations", "a group of 100000, a member");
    let rate = results.ratio("fan-out", (single, None), (member, None));
    vec![ratio("a group of 100,000, its rate", rate, (LEAST, 0.8), single)]
}

fn payload(results: &Results) -> Vec<Held> {
    let large = results.ratio("payload", ("invoked with a `&str`", None), ("copied once", None));
    vec![ratio("8 MiB, given as `&str`", large, (MOST, 2.0), "a copy")]
}

fn durable(results: &Results) -> Vec<Held> {
    let of = |one, other| results.ratio("durable", (other, Some(256.0)), (one, Some(256.0)));
    let against = |other| of("zato", other);
    let same = against("bare SQLite, the same rows");
    let sweeping = of("zato, sweeping", "bare SQLite, sweeping");
    vec![
        ratio("SQLite, 256 in flight, its rate", same, (LEAST, 0.7), "bare SQLite"),
        ratio("the same, sweeping", sweeping, (LEAST, 0.7), "bare SQLite, sweeping"),
        ratio("the same, against effectum", against("effectum"), (LEAST, 5.0), "effectum"),
        ratio("the same, against huey", against("huey"), (LEAST, 10.0), "huey"),
    ]
}

fn receipt(results: &Results) -> Vec<Held> {
    let by = |one, other| results.ratio("receipt", (one, None), (other, None));
    let idle = by("a receipt, idle", "one bare commit, idle");
    let closed = by("a receipt, closed loop", "one bare commit, closed loop");
    vec![
        ratio("SQLite, a receipt when idle", idle, (MOST, 1.3), "a bare commit"),
        ratio("SQLite, a receipt in a closed loop", closed, (MOST, 2.0), "a bare commit"),
    ]
}

fn backlog(results: &Results) -> Vec<Held> {
    // Of the largest number for which there is such a row.
    let most = |name: &str| {
        let rows = results.rows("backlog").iter().filter(|row| row.name == name);
        rows.filter_map(|row| row.at).max_by(f64::total_cmp)
    };
    let last = |name: &str| results.median("backlog", name, most(name));
    let rate = |name: &str, few| results.ratio("backlog", (name, Some(few)), (name, most(name)));
    let waiting = rate("waiting: rounds", 1_000.0);
    let ended = rate("ended: rounds", 0.0);
    let restart = last("waiting: from the start to the first that is run");
    vec![
        ratio("SQLite, many waiting, its rate", waiting, (LEAST, 0.75), "1,000 waiting"),
        figure("SQLite, many waiting, memory", last("waiting: resident memory"), 600.0, "MiB"),
        figure("SQLite, many waiting, restart", restart, 2_000.0, "ms"),
        ratio("SQLite, many ended, its rate", ended, (LEAST, 0.85), "none ended"),
    ]
}

fn keys(results: &Results) -> Vec<Held> {
    let rate = |engine: &str| {
        let name = format!("{engine}: a step of a lane");
        let rate = results.ratio("keys", (&name, Some(1.0)), (&name, Some(64_000.0)));
        ratio(format!("{engine}, 64,000 wait for one key, its rate"), rate, (LEAST, 0.75), "one waits")
    };
    vec![rate("memory"), rate("disk")]
}

fn services(results: &Results) -> Vec<Held> {
    let round = "a round, one worker";
    let many = results.ratio("services", (round, Some(10_000.0)), (round, Some(10.0)));
    let start = results.median("services", "10,000 services checked and made", None);
    vec![
        ratio("10,000 services", many, (MOST, 1.05), "ten"),
        figure("10,000 services, their start", start, 50.0, "ms"),
    ]
}

fn compiled(results: &Results) -> Vec<Held> {
    let (attribute, hand) =
        ("cargo check, 1,000 services with `#[service]`", "cargo check, 1,000 services by hand");
    let check = results.ratio("compile", (attribute, None), (hand, None));
    let hello = results.median("compile", "hello world, release, stripped, memory engine", None);
    vec![
        ratio("cargo check of 1,000 services", check, (MOST, 1.5), "by hand"),
        figure("hello world, release, stripped", hello, 4_096.0, "KiB"),
    ]
}
