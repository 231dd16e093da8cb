//! The bars: what each figure is held against.

use crate::results::{Results, Row};

/// What a bar says of some results.
pub(crate) struct Held {
    pub(crate) what: &'static str,
    pub(crate) bar: String,
    pub(crate) measured: String,
    /// `None` where it was not measured.
    pub(crate) holds: Option<bool>,
}

/// A ratio that is at most, or at least, so much.
fn ratio(what: &'static str, of: (Option<f64>, Option<f64>), bar: (&str, f64), word: &str) -> Held {
    let measured = of.0.zip(of.1).map(|(a, b)| a / b);
    let holds =
        measured.map(|measured| if bar.0 == "at most" { measured <= bar.1 } else { measured >= bar.1 });
    let measured = measured.map_or("not measured".to_owned(), |measured| format!("{measured:.2} x"));
    Held { what, bar: format!("{} {} x {word}", bar.0, bar.1), measured, holds }
}

fn figure(what: &'static str, of: Option<f64>, most: f64, unit: &str) -> Held {
    let measured = of.map_or("not measured".to_owned(), |of| format!("{of:.1} {unit}"));
    Held { what, bar: format!("at most {most} {unit}"), measured, holds: of.map(|of| of <= most) }
}

/// All bars that a program can hold.
pub(crate) fn held(results: &Results) -> Vec<Held> {
    let mut bars = memory(results);
    bars.extend(waiting(results));
    bars.extend(durable(results));
    bars.extend(backlog(results));
    bars.extend(compiled(results));
    bars
}

const MOST: &str = "at most";

const LEAST: &str = "at least";

fn memory(results: &Results) -> Vec<Held> {
    let at = |name: &str| results.median("memory", name, Some(1_024.0));
    let latency = |who: &str, of: &str| results.median("latency", &format!("{who}, {of}"), None);
    let both = |of| (latency("zato, by name", of), latency("two bare spawns", of));
    let (spawns, zato) = (at("two bare spawns"), at("zato, by name"));
    vec![
        ratio("memory, by name, 1,024 in flight", (zato, spawns), (MOST, 0.75), "two spawns"),
        ratio("the same, by handle", (at("zato, by handle"), zato), (MOST, 1.05), "by name"),
        ratio("memory, against ractor", (zato, at("ractor")), (MOST, 1.0), "ractor"),
        ratio("memory, against kameo", (zato, at("kameo")), (MOST, 1.0), "kameo"),
        ratio("memory, against apalis", (zato, at("apalis")), (MOST, 1.0), "apalis"),
        ratio("latency, p50", both("p50"), (MOST, 1.5), "two spawns"),
        ratio("latency, p99", both("p99"), (MOST, 1.0), "two spawns"),
    ]
}

fn waiting(results: &Results) -> Vec<Held> {
    let of = |section: &str, name: &str| results.median(section, name, None);
    let one = of("spread", "one producer, one service");
    let tasks = of("spread", "10,000 tasks that sleep for 1 ms");
    let handlers = of("spread", "10,000 handlers that sleep for 1 ms");
    let each = of("waiting", "resident memory of one that waits (due)");
    let idle = |delayed| {
        let is_it = |row: &&Row| row.name.ends_with("context switches") && row.at == Some(delayed);
        Some(results.rows("waiting").iter().find(is_it)?.spread?.median)
    };
    let more = idle(100_000.0).zip(idle(0.0)).map(|(many, none)| (many - none).max(0.0));
    let member = of("fan-out", "a group of 100000, a member");
    let large = (of("payload", "invoked with a `&str`"), of("payload", "copied once"));
    vec![
        ratio("four producers", (of("spread", "four producers, one service"), one), (MOST, 1.05), "one"),
        ratio("sixteen services", (of("spread", "one producer, sixteen services"), one), (MOST, 1.05), "one"),
        ratio("10,000 that sleep for 1 ms", (handlers, tasks), (MOST, 1.3), "bare tasks"),
        figure("one that waits in memory", each, 512.0, "bytes"),
        // To look takes from four to eight.
        figure("idle, 100,000 delayed", more, 4.0, "context switches more than with none"),
        ratio(
            "a group of 100,000, its rate",
            (of("fan-out", "single invocations"), member),
            (LEAST, 0.8),
            "single invocations",
        ),
        ratio("8 MiB, given as `&str`", large, (MOST, 2.0), "a copy"),
    ]
}

fn durable(results: &Results) -> Vec<Held> {
    let at = |name: &str| results.median("durable", name, Some(256.0));
    let of = |name: &str| results.median("receipt", name, None);
    let zato = at("zato");
    let idle = (of("a receipt, idle"), of("one bare commit, idle"));
    let closed = (of("a receipt, closed loop"), of("one bare commit, closed loop"));
    let same = at("bare SQLite, the same rows");
    vec![
        ratio("SQLite, 256 in flight, its rate", (same, zato), (LEAST, 0.7), "bare SQLite"),
        ratio("the same, against effectum", (at("effectum"), zato), (LEAST, 5.0), "effectum"),
        ratio("the same, against huey", (at("huey"), zato), (LEAST, 10.0), "huey"),
        ratio("SQLite, a receipt when idle", idle, (MOST, 1.3), "a bare commit"),
        ratio("SQLite, a receipt in a closed loop", closed, (MOST, 2.0), "a bare commit"),
    ]
}

fn backlog(results: &Results) -> Vec<Held> {
    let at = |name: &str, at: f64| results.median("backlog", name, Some(at));
    // Of the largest number for which there is such a row.
    let last = |name: &str| {
        let rows = results.rows("backlog").iter().filter(|row| row.name == name);
        Some(rows.max_by(|a, b| a.at.unwrap_or(0.0).total_cmp(&b.at.unwrap_or(0.0)))?.spread?.median)
    };
    let waiting = (at("waiting: rounds", 1_000.0), last("waiting: rounds"));
    let ended = (at("ended: rounds", 0.0), last("ended: rounds"));
    let restart = last("waiting: from the start to the first that is run");
    vec![
        ratio("SQLite, many waiting, its rate", waiting, (LEAST, 0.75), "1,000 waiting"),
        figure("SQLite, many waiting, memory", last("waiting: resident memory"), 600.0, "MiB"),
        figure("SQLite, many waiting, restart", restart, 2_000.0, "ms"),
        ratio("SQLite, many ended, its rate", ended, (LEAST, 0.85), "none ended"),
    ]
}

fn compiled(results: &Results) -> Vec<Held> {
    let of = |section: &str, name: &str| results.median(section, name, None);
    let round = |services| results.median("services", "a round, one worker", Some(services));
    let start = of("services", "10,000 services checked and made");
    let attribute = of("compile", "cargo check, 1,000 services with `#[service]`");
    let hand = of("compile", "cargo check, 1,000 services by hand");
    let hello = of("compile", "hello world, release, stripped, memory engine");
    vec![
        ratio("10,000 services", (round(10_000.0), round(10.0)), (MOST, 1.05), "ten"),
        figure("10,000 services, their start", start, 50.0, "ms"),
        ratio("cargo check of 1,000 services", (attribute, hand), (MOST, 1.5), "by hand"),
        figure("hello world, release, stripped", hello, 4_096.0, "KiB"),
    ]
}
