//! `BENCHMARKS.md`, from the results.

use std::fmt::Write as _;
use std::fs;

use crate::results::{Results, Row};
use crate::sections::SECTIONS;
use crate::{bars, machine, place, plot};

const BEFORE: &str = "# Benchmarks

Written by `cargo bench -p zato-runtime --bench bar`, which measures all of it again and writes this file; `-- quick`
takes a few minutes, `-- full` has ten million waiting and ended, and `-- memory durable` measures these sections alone.
Peers are in `peers`, a workspace of its own; those in Python need Python 3.11 and `redis-server`.

What is compared is run in turn in one run, and what stands here is the median of the runs, with the least and the most.
Only the ratios travel to another machine. A round is one invocation with a string of 32 bytes, and its callback.
";

/// Why some bars are not held: what a profile shows, written by hand.
const LIMITS: &str = include_str!("limits.md");

/// Writes the report, and its plots.
pub(crate) fn write(results: &Results) {
    let mut text = String::from(BEFORE);
    text.push_str("\n## Machine and versions\n\n| | |\n|---|---|\n");
    for (name, value) in machine::lines() {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str("\n## The bar\n\n| what | bar | measured | |\n|---|---|---|---|\n");
    for held in bars::held(results) {
        let word = held.holds.map_or("", |holds| if holds { "holds" } else { "**does not hold**" });
        let _ = writeln!(text, "| {} | {} | {} | {word} |", held.what, held.bar, held.measured);
    }
    text.push_str(
        "\nAllocations and instructions a round are counted, not timed: `zato-runtime/benches/guards.json` holds them, \
         and `tests/run` holds the runtime to it.\n",
    );
    text.push_str(LIMITS);
    for section in &SECTIONS {
        let Some(measured) = results.sections.get(section.name) else { continue };
        let _ = writeln!(text, "\n## {}\n", section.title);
        let command =
            format!("cargo bench -p zato-runtime --bench bar -- {} {}", measured.scale, section.name);
        let _ = writeln!(text, "`{}`\n", command.replace(" usual", ""));
        for (file, title) in plot::draw(results, section.name) {
            let _ = writeln!(text, "![{title}](benchmarks/{file})\n");
        }
        table(&mut text, &measured.rows);
    }
    fs::write(place::root().join("BENCHMARKS.md"), text).expect("the report is written");
    println!("written: BENCHMARKS.md");
}

fn table(text: &mut String, rows: &[Row]) {
    text.push_str("| what | at | median | least to most | unit | |\n|---|---|---|---|---|---|\n");
    for row in rows {
        let at = row.at.map(|at| thousands(at, 0)).unwrap_or_default();
        let (median, range) = match row.spread {
            Some(of) if of.least < of.most => {
                (precise(of.median), format!("{} to {}", precise(of.least), precise(of.most)))
            }
            Some(of) => (precise(of.median), String::new()),
            None => ("not measured".to_owned(), String::new()),
        };
        let _ = writeln!(text, "| {} | {at} | {median} | {range} | {} | {} |", row.name, row.unit, row.note);
    }
}

fn precise(number: f64) -> String {
    thousands(number, usize::from(number < 100.0))
}

/// A number as a person reads it: `12,345`.
fn thousands(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}
