//! Four producers on two workers, sixteen services at once, and handlers that wait.

use std::time::{Duration, Instant};

use crate::bus::{bus, on_tokio};
use crate::floors;
use crate::interleave::{Contender, interleave};
use crate::results::Row;
use crate::scale::Scale;
use crate::services::SIXTEEN;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;
use crate::stats::each;

/// How many sleep at once.
const ASLEEP: usize = 10_000;

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let count = scale.rounds;
    let of = |producers, services| move || each(on_tokio(rounds(count, producers, services)), count);
    let contenders = vec![
        Contender::new("one producer, one service", of(1, 1)),
        Contender::new("four producers, one service", of(4, 1)),
        Contender::new("one producer, sixteen services", of(1, 16)),
        Contender::new("four producers, sixteen services", of(4, 16)),
    ];
    let mut rows = interleave(3 * scale.repeats, "ns a round", Some("one and one"), contenders);
    let count = scale.rounds / 2;
    let contenders = vec![
        Contender::new("10,000 tasks that sleep for 1 ms", || {
            each(on_tokio(floors::sleeps(count, ASLEEP)), count)
        }),
        Contender::new("10,000 tasks that sleep, looked up, caught and kept", || {
            each(on_tokio(floors::kept_sleeps(count, ASLEEP)), count)
        }),
        Contender::new("10,000 handlers that sleep for 1 ms", || each(on_tokio(sleeps(count)), count)),
    ];
    rows.extend(interleave(scale.repeats, "ns each", Some("tasks"), contenders));
    rows
}

/// Rounds by so many producers, which go through so many services.
async fn rounds(count: usize, producers: usize, services: usize) -> Duration {
    let rounds = Rounds::new(1_024);
    let runtime = bus("memory:", &rounds).start().await.expect("it starts");
    let began = Instant::now();
    let produce = |producer: usize| {
        let (rounds, runtime) = (rounds.clone(), runtime.clone());
        tokio::spawn(async move {
            for number in 0..count / producers {
                rounds.begin().await;
                let name = SIXTEEN[(producer + number) % services];
                let call = runtime.invoke_async(name, PLAIN).callback("bench.callback");
                call.await.expect("it is accepted");
            }
        })
    };
    let all: Vec<_> = (0..producers).map(produce).collect();
    for one in all {
        one.await.expect("it does not panic");
    }
    rounds.all_ended().await;
    let took = began.elapsed();
    runtime.shutdown().await.expect("it ends");
    took
}

async fn sleeps(count: usize) -> Duration {
    let rounds = Rounds::new(ASLEEP);
    let runtime = bus("memory:", &rounds).start().await.expect("it starts");
    let began = Instant::now();
    for _ in 0..count {
        rounds.begin().await;
        runtime.invoke_async("bench.sleep", PLAIN).await.expect("it is accepted");
    }
    rounds.all_ended().await;
    let took = began.elapsed();
    runtime.shutdown().await.expect("it ends");
    took
}
