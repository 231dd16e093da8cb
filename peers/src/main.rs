//! Rounds of other crates, each as it is meant to be used: `peers PEER ROUNDS IN_FLIGHT` prints one line of JSON.
//!
//! A round is what it is for this project: something is asked for with a string of 32 bytes, and what it responds goes to
//! something else, which ends the round.

mod round;
mod actix_actors;
mod apalis_memory;
mod apalis_sqlite;
mod kameo_actors;
mod ractor_actors;

use std::time::Duration;

use crate::round::Round;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, rounds, in_flight] = arguments.as_slice() else { panic!("peers PEER ROUNDS IN_FLIGHT") };
    let (rounds, in_flight) = (rounds.parse().expect("a number"), in_flight.parse().expect("a number"));
    let round = Round::new(in_flight);
    let took = match peer.as_str() {
        "kameo" => on_tokio(kameo_actors::run(round, rounds)),
        "ractor" => on_tokio(ractor_actors::run(round, rounds)),
        "actix" => actix_actors::run(round, rounds),
        "apalis" => on_tokio(apalis_memory::run(round, rounds)),
        "apalis-sqlite" => on_tokio(apalis_sqlite::run(round, rounds)),
        _ => panic!("no such peer: {peer}"),
    };
    round::print(peer, rounds, in_flight, took);
    // What its workers still wait for is of no interest.
    std::process::exit(0);
}

/// Two threads, as the bus has where it is measured.
fn on_tokio(run: impl Future<Output = Duration> + Send + 'static) -> Duration {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.expect("tokio starts");
    tokio.block_on(async { tokio::spawn(run).await.expect("it does not panic") })
}
