//! The line of JSON that a peer prints.

use std::time::Duration;

/// Prints what the program that compares reads.
pub fn print(peer: &str, rounds: usize, in_flight: usize, took: Duration) {
    let nanos = u64::try_from(took.as_nanos()).expect("it did not take that long");
    println!(
        "{}",
        serde_json::json!({ "peer": peer, "rounds": rounds, "in_flight": in_flight, "nanos": nanos })
    );
}
