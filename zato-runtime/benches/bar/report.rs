//! `BENCHMARKS.md`, from the results.

use std::fmt::Write as _;
use std::fs;

use crate::results::{Results, Row};
use crate::sections::SECTIONS;
use crate::shape::shapes::SHAPES;
use crate::{bars, machine, place, plot};

const INTRODUCTION: &str = "# Benchmarks

The speed of this runtime, beside bare floors that do the same work and beside other crates. Written by
`cargo bench -p zato-runtime --bench bar`, which measures everything again and writes this file; `-- quick` takes a few
minutes, `-- full` has ten million waiting and ended, and `-- shapes` measures that section alone.

## Shapes of work

A round is one call from outside, with a callback, and everything that it causes. In each shape the handlers do something
else. The table shows the time of a round as a multiple of what the same work takes elsewhere, and the bar for it; less is
better. In the last column it shows the rate on SQLite as a multiple of a bare loop; more is better.
";

/// What the columns of the table of shapes are.
const COMPARED: &str = "
Each payload is a string of 32 bytes. 1,024 calls from outside are in flight at once, 10,000 where handlers sleep, 256 on
SQLite. All subjects run on a tokio runtime with two workers, are called by one task, and count the ends of rounds with the
same semaphore. In memory each run is a process of its own. What is compared runs in turn, seven times over; the figures
are medians of the ratios of runs side by side. Only ratios travel to another machine.

- **No handler calls**: the target returns its payload, which goes to the callback. **1 handler in 10 calls** another one in
  the background, with a callback; the caller does not wait for it. **A handler that calls synchronously** waits for the
  response of another. **A handler that sleeps** does so for 1 ms. **1 handler in 10 fails once** and has a second attempt
  after 1 ms. **A handler that calls a group** calls ten others in the background, whose responses go to a final callback.
- **Bare tasks** are tokio tasks, one for each target, child, member and callback. A task that ends spawns the task of its
  callback; a synchronous call is a task whose handle is awaited; a second attempt is a loop in the task. Nothing has a name
  or an ID, no panic is caught, and nobody can tell what runs.
- **By hand** is a small bus on tokio: a UUIDv7 for each invocation, a map of boxed handlers by name, panics that are caught,
  and a map of what is in flight with which it can be aborted. It encodes no payloads and records nothing that has ended. A
  synchronous call runs inside the caller's task, as it does on this runtime.
- **kameo** and **ractor** have one actor for each service, with unbounded mailboxes. An actor handles one message at a time:
  it waits for the response to a synchronous call, which is faster here than a task for each, and sleeps in a task. Their
  messages are values, not encoded payloads.
- **Bare SQLite** is a loop over `rusqlite` with the tables, indexes and settings of this runtime's engine. It writes the same
  rows in the same steps, and one commit for all steps that wait.
";

/// Limits of what is measured, and reasons for bars that are not met, written by hand.
const LIMITS: &str = include_str!("limits.md");

/// Writes the report, and its plots.
pub(crate) fn write(results: &Results) {
    let mut text = String::from(INTRODUCTION);
    shapes(&mut text, results);
    if let Some(measured) = results.sections.get("shapes") {
        let _ = writeln!(text, "\nMeasured: {}.", measured.taken);
    }
    text.push_str(COMPARED);
    text.push_str("\n## Machine and versions\n\n| | |\n|---|---|\n");
    for (name, value) in machine::lines() {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str("\n## The bars\n\n| what | bar | measured | |\n|---|---|---|---|\n");
    let others = SECTIONS.iter().filter(|section| section.name != "shapes");
    let others = others.flat_map(|section| bars::of(section.name, results));
    for held in std::iter::once(bars::called_by_a_handler(results)).chain(others) {
        let _ = writeln!(text, "| {} | {} | {} | {} |", held.what, held.bar, held.measured, held.word());
    }
    text.push_str(LIMITS);
    for section in &SECTIONS {
        let Some(measured) = results.sections.get(section.name) else { continue };
        let _ = writeln!(text, "\n## {}\n", section.title);
        let command =
            format!("cargo bench -p zato-runtime --bench bar -- {} {}", measured.scale, section.name);
        let taken = if measured.taken.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "`{}`{taken}{}\n", command.replace(" usual", ""), measured.taken);
        for (file, title) in plot::draw(results, section.name) {
            let _ = writeln!(text, "![{title}](benchmarks/{file})\n");
        }
        table(&mut text, &measured.rows);
    }
    fs::write(place::root().join("BENCHMARKS.md"), text).expect("the report is written");
    println!("written: BENCHMARKS.md");
}

/// The table of shapes: a row for each shape, and a column for each of what it is compared with.
fn shapes(text: &mut String, results: &Results) {
    let _ = writeln!(text, "\n| shape | {} |\n|---|{}", bars::COMPARED.join(" | "), "---|".repeat(5));
    for shape in SHAPES {
        let _ = write!(text, "| {} |", shape.title);
        for held in bars::of_shape(shape, results) {
            // The column says of what.
            let bar = held.bar.split(" x ").next().unwrap_or_default();
            let word = held.word();
            let _ =
                write!(text, " {} ({bar}{}{word}) |", held.measured, if word.is_empty() { "" } else { ": " });
        }
        text.push('\n');
    }
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
