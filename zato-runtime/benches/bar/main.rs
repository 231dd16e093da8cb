//! Everything that is said about speed, measured beside what it is compared with, and written into `BENCHMARKS.md`.
//!
//! ```console
//! $ cargo bench -p zato-runtime --bench bar                    # all of it: more than an hour
//! $ cargo bench -p zato-runtime --bench bar -- quick           # a few minutes, for a look
//! $ cargo bench -p zato-runtime --bench bar -- full            # ten million waiting and ended: needs 30 GiB of disk
//! $ cargo bench -p zato-runtime --bench bar -- shapes          # one section, or some: the others' results stay
//! ```
//!
//! What is compared is run in turn, again and again, in one run: the machine's mood is in both sides of a ratio, and only
//! ratios travel. Results are kept in `benchmarks/results.json`.

#![allow(
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot run says so, and rounds"
)]

mod stats;
mod scale;
mod results;
mod interleave;
mod place;
mod process;
#[path = "../shape/mod.rs"]
mod shape;
mod services;
mod bus;
mod floors;
mod disk;
mod subjects;
mod peers;
mod sections;
mod machine;
mod plot;
mod bars;
mod report;

use crate::results::Results;
use crate::scale::Scale;
use crate::sections::{CHILDREN, SECTIONS};

fn main() {
    if std::env::args().any(|argument| matches!(&*argument, "--help" | "-h")) {
        return help();
    }
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    if let Some(child) = process::asked() {
        let run = CHILDREN.iter().find(|(name, _)| *name == child).expect("there is such a child").1;
        return run(&arguments);
    }
    let (scales, asked): (Vec<_>, Vec<_>) = arguments.iter().partition(|it| Scale::named(it).is_some());
    let scale = scales.first().and_then(|name| Scale::named(name)).unwrap_or_default();
    if let Some(unknown) = asked.iter().find(|asked| SECTIONS.iter().all(|section| section.name != ***asked))
    {
        let known: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
        panic!("there is no section `{unknown}`: it is one of {known:?}, or quick, or full");
    }
    let mut results = Results::read();
    for section in &SECTIONS {
        if asked.is_empty() || asked.iter().any(|asked| *asked == section.name) {
            println!("== {}", section.name);
            let taken = machine::taken();
            let rows = (section.run)(&scale);
            for row in &rows {
                println!("{row}");
            }
            results.replace(section.name, &scale, taken, rows);
            results.write();
            for held in bars::of(section.name, &results) {
                println!("{:60} {:16} {:28} {}", held.what, held.measured, held.bar, held.word());
            }
        }
    }
    report::write(&results);
}

fn help() {
    println!(
        "Measures this runtime beside floors and peers, and writes BENCHMARKS.md and benchmarks/.\n\n\
         Usage: cargo bench -p zato-runtime --bench bar -- [quick|full] [SECTION...]\n\n\
         quick  a few rounds of each: some minutes for all of it\n\
         full   ten million waiting and ended where the usual has one million\n\n\
         Sections (all by default):"
    );
    for section in &SECTIONS {
        println!("  {:10} {}", section.name, section.title);
    }
}
