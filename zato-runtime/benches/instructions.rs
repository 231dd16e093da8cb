//! How many instructions a round takes, on each hot path, as valgrind counts them.
//!
//! ```console
//! $ cargo bench -p zato-runtime --bench instructions                                # fails if one has grown
//! $ cargo bench -p zato-runtime --bench instructions -- --record                    # the new figures
//! $ cargo bench -p zato-runtime --bench instructions -- --where "memory, by name"   # where they go
//! ```
//!
//! This program runs itself under valgrind, once with few rounds and once with many, and has counted what happens in the
//! rounds and where a store writes: the difference is what the rounds took. All else is left out, since a start looks at
//! clocks for as long as it takes to trust them. (gungraun would do it with a runner of its own version that everyone must
//! install, and keeps what it compares with outside the tree.)

#![allow(clippy::expect_used, reason = "a benchmark that cannot run says so")]

mod shape;
mod guard;

use std::process::{Command, ExitCode};
use std::thread;

use crate::guard::paths::{Engine, Path};
use crate::guard::record::{Guard, asked_where, named};

/// How many rounds go through in the shorter run, and how many more in the longer.
const FEW: usize = 64;
const MORE: usize = 256;

/// How often each is run.
const TIMES: usize = 3;

/// The number of paths that are counted at once.
const AT_ONCE: usize = 8;

/// Where `--where` writes to.
const WRITTEN_TO: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/instructions.callgrind");

/// What is counted: the rounds, and what a store's own thread writes for them.
const COUNTED: [&str; 2] = ["*counted_rounds*", "*write_all*"];

/// Asks this program for so many rounds of a path, and nothing else.
const ROUNDS: &str = "--rounds";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == ROUNDS) {
        let rounds = arguments[at + 1].parse().expect("a number of rounds");
        named(&arguments[at + 2]).count(rounds, || 0);
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: instructions a round are not counted, since valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    if std::env::consts::ARCH != "x86_64" {
        println!("SKIPPED: instructions a round are recorded for x86_64 alone");
        return ExitCode::SUCCESS;
    }
    if let Some(path) = asked_where() {
        under_valgrind(path, FEW + MORE, WRITTEN_TO);
        println!("look at it with: callgrind_annotate --inclusive=yes {WRITTEN_TO} | less");
        return ExitCode::SUCCESS;
    }
    let mut counted = Vec::new();
    let mut all = Path::all();
    all.retain(|path| has_constant_instructions(*path));
    for paths in all.chunks(AT_ONCE) {
        let count = |path: Path| (path, thread::spawn(move || count(path)));
        let counting: Vec<_> = paths.iter().copied().map(count).collect();
        let ended = counting.into_iter().map(|(path, count)| (path, count.join().expect("it is counted")));
        counted.extend(ended);
    }
    let holds = Guard { what: "instructions", bench: "instructions" }.hold(&counted);
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns `true` if the instructions of a round are the same in each run. Where several handlers of a round write to disk at
/// once, the number of their transactions depends on the scheduling of threads.
fn has_constant_instructions(path: Path) -> bool {
    !matches!(path, Path::Shape(Engine::Sqlite, _))
}

fn count(path: Path) -> f64 {
    // How many are taken at once goes by how long each takes, and that by what else runs on this machine: the least is what
    // was disturbed the least.
    let least =
        |rounds| (0..TIMES).map(|_| under_valgrind(path, rounds, "/dev/null")).min().unwrap_or_default();
    let [few, many] = [FEW, FEW + MORE].map(least);
    let more = u32::try_from(many.saturating_sub(few)).expect("not that many");
    f64::from(more) / f64::from(u32::try_from(MORE).expect("not that many"))
}

/// How many instructions this program takes for so many rounds.
fn under_valgrind(path: Path, rounds: usize, written_to: &str) -> u64 {
    let program = std::env::current_exe().expect("this program has a path");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", &format!("--callgrind-out-file={written_to}")]);
    valgrind.args(COUNTED.map(|name| format!("--toggle-collect={name}"))).arg(program);
    let ran = valgrind.args([ROUNDS, &rounds.to_string(), &path.name()]).output().expect("valgrind runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected
        .and_then(|(_, number)| number.trim().parse().ok())
        .unwrap_or_else(|| panic!("valgrind says: {said}"))
}
