//! Rounds of other crates, each as it is meant to be used: `peers PEER ROUNDS IN_FLIGHT [SHAPE]` prints one line of JSON.
//!
//! A round is what it is for this project: a target receives a string of 32 bytes, and its response goes to a callback,
//! which ends the round. kameo and ractor go through the shapes of work too.

mod shape;
mod print;
mod actix_actors;
mod apalis_memory;
mod apalis_sqlite;
mod kameo_actors;
mod ractor_actors;

use std::time::{Duration, Instant};

use crate::shape::rounds::Rounds;
use crate::shape::shapes::{SHAPES, Shape};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, count, in_flight, shape @ ..] = arguments.as_slice() else {
        panic!("peers PEER ROUNDS IN_FLIGHT [SHAPE]")
    };
    let (count, in_flight) = (count.parse().expect("a number"), in_flight.parse().expect("a number"));
    let shape = match shape {
        [] => SHAPES[0],
        [name, ..] => Shape::named(name).unwrap_or_else(|| panic!("no such shape: {name}")),
    };
    let rounds = Rounds::new(in_flight);
    let took = match peer.as_str() {
        "kameo" => on_tokio(kameo_actors::run(rounds, count, shape)),
        "ractor" => on_tokio(ractor_actors::run(rounds, count, shape)),
        "actix" => actix_actors::run(rounds, count),
        "apalis" => on_tokio(apalis_memory::run(rounds, count)),
        "apalis-sqlite" => on_tokio(apalis_sqlite::run(rounds, count)),
        _ => panic!("no such peer: {peer}"),
    };
    print::print(peer, count, in_flight, took);
    // What its workers still wait for is of no interest.
    std::process::exit(0);
}

/// Two threads, as the bus has where it is measured.
fn on_tokio(run: impl Future<Output = Duration> + Send + 'static) -> Duration {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.expect("tokio starts");
    tokio.block_on(async { tokio::spawn(run).await.expect("it does not panic") })
}

/// Waits for the end of all rounds of a shape, and returns the time since `began`.
async fn ended(rounds: &Rounds, shape: Shape, count: usize, began: Instant) -> Duration {
    rounds.all_ended().await;
    rounds.ended_beside(shape.beside(count)).await;
    began.elapsed()
}
