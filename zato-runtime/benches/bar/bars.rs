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
fn ratio(what: &'static str, measured: Option<f64>, bar: (&str, f64), word: &str) -> Held {
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
    let many = Some(1_024.0);
    let by = |one, other| results.ratio("memory", (one, many), (other, many));
    let name = "zato, by name";
    let latency = |of| {
        let of = |who| format!("{who}, {of}");
        results.ratio("latency", (&of(name), None), (&of("two bare spawns"), None))
    };
    vec![
        ratio("memory, by name, 1,024 in flight", by(name, "two bare spawns"), (MOST, 0.75), "two spawns"),
        ratio("the same, by handle", by("zato, by handle", name), (MOST, 1.05), "by name"),
        ratio("memory, against ractor", by(name, "ractor"), (MOST, 1.0), "ractor"),
        ratio("memory, against kameo", by(name, "kameo"), (MOST, 1.0), "kameo"),
        ratio("memory, against apalis", by(name, "apalis"), (MOST, 1.0), "apalis"),
        ratio("latency, p50", latency("p50"), (MOST, 1.5), "two spawns"),
        ratio("latency, p99", latency("p99"), (MOST, 1.0), "two spawns"),
    ]
}

fn waiting(results: &Results) -> Vec<Held> {
    let of = |section: &str, name: &str| results.median(section, name, None);
    let by = |section, one, other| results.ratio(section, (one, None), (other, None));
    let one = "one producer, one service";
    let sleeping = by("spread", "10,000 handlers that sleep for 1 ms", "10,000 tasks that sleep for 1 ms");
    let each = of("waiting", "resident memory of one that waits (due)");
    let idle = |delayed| {
        let is_it = |row: &&Row| row.name.ends_with("context switches") && row.at == Some(delayed);
        Some(results.rows("waiting").iter().find(is_it)?.spread?.median)
    };
    let more = idle(100_000.0).zip(idle(0.0)).map(|(many, none)| (many - none).max(0.0));
    let member = by("fan-out", "single invocations", "a group of 100000, a member");
    let large = by("payload", "invoked with a `&str`", "copied once");
    vec![
        ratio("four producers", by("spread", "four producers, one service", one), (MOST, 1.05), "one"),
        ratio("sixteen services", by("spread", "one producer, sixteen services", one), (MOST, 1.05), "one"),
        ratio("10,000 that sleep for 1 ms", sleeping, (MOST, 1.3), "bare tasks"),
        figure("one that waits in memory", each, 512.0, "bytes"),
        // To look takes from four to eight.
        figure("idle, 100,000 delayed", more, 4.0, "context switches more than with none"),
        ratio("a group of 100,000, its rate", member, (LEAST, 0.8), "single invocations"),
        ratio("8 MiB, given as `&str`", large, (MOST, 2.0), "a copy"),
    ]
}

fn durable(results: &Results) -> Vec<Held> {
    let of = |one, other| results.ratio("durable", (other, Some(256.0)), (one, Some(256.0)));
    let against = |other| of("zato", other);
    let receipt = |one, other| results.ratio("receipt", (one, None), (other, None));
    let idle = receipt("a receipt, idle", "one bare commit, idle");
    let closed = receipt("a receipt, closed loop", "one bare commit, closed loop");
    let same = against("bare SQLite, the same rows");
    let sweeping = of("zato, sweeping", "bare SQLite, sweeping");
    vec![
        ratio("SQLite, 256 in flight, its rate", same, (LEAST, 0.7), "bare SQLite"),
        ratio("the same, sweeping", sweeping, (LEAST, 0.7), "bare SQLite, sweeping"),
        ratio("the same, against effectum", against("effectum"), (LEAST, 5.0), "effectum"),
        ratio("the same, against huey", against("huey"), (LEAST, 10.0), "huey"),
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

fn compiled(results: &Results) -> Vec<Held> {
    let of = |section: &str, name: &str| results.median(section, name, None);
    let round = "a round, one worker";
    let many = results.ratio("services", (round, Some(10_000.0)), (round, Some(10.0)));
    let start = of("services", "10,000 services checked and made");
    let (attribute, hand) =
        ("cargo check, 1,000 services with `#[service]`", "cargo check, 1,000 services by hand");
    let check = results.ratio("compile", (attribute, None), (hand, None));
    let hello = of("compile", "hello world, release, stripped, memory engine");
    vec![
        ratio("10,000 services", many, (MOST, 1.05), "ten"),
        figure("10,000 services, their start", start, 50.0, "ms"),
        ratio("cargo check of 1,000 services", check, (MOST, 1.5), "by hand"),
        figure("hello world, release, stripped", hello, 4_096.0, "KiB"),
    ]
}
