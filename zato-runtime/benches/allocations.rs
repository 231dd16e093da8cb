//! How often a round allocates, on each hot path, and how often a large payload is copied.
//!
//! ```console
//! $ cargo bench -p zato-runtime --bench allocations                                # fails if one has grown
//! $ cargo bench -p zato-runtime --bench allocations -- --record                    # the new figures
//! $ cargo bench -p zato-runtime --bench allocations -- --where "memory, by name"   # where they come from
//! ```

#![allow(clippy::expect_used, reason = "a benchmark that cannot run says so")]

mod shape;
mod guard;

use std::process::ExitCode;

use crate::guard::paths::{LARGE, Path};
use crate::guard::record::{Guard, asked_where};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const ROUNDS: usize = 1_024;

/// Where `--where` writes to.
const WRITTEN_TO: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/allocations.json");

fn main() -> ExitCode {
    if let Some(path) = asked_where() {
        let _profiler = dhat::Profiler::builder().file_name(WRITTEN_TO).build();
        path.count(if path == Path::Large { 64 } else { ROUNDS }, || 0);
        println!("open {WRITTEN_TO} in https://nnethercote.github.io/dh_view/dh_view.html");
        return ExitCode::SUCCESS;
    }
    let _profiler = dhat::Profiler::builder().testing().build();
    let blocks = || dhat::HeapStats::get().total_blocks;
    let counted: Vec<_> = Path::all().into_iter().map(|path| (path, path.count(ROUNDS, blocks))).collect();
    // What is copied is allocated first.
    let bytes = || dhat::HeapStats::get().total_bytes / 1_024;
    let copies = Path::Large.count(64, bytes) * 1_024.0
        / f64::from(u32::try_from(LARGE).expect("it is not that large"));
    let allocations = Guard { what: "allocations", bench: "allocations" }.hold(&counted);
    let copies = Guard { what: "copies", bench: "allocations" }.hold(&[(Path::Large, copies)]);
    if allocations && copies { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
