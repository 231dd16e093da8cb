//! Groups: what a member costs, against a single invocation.

use std::time::{Duration, Instant};

use crate::bus::{bus, on_tokio};
use crate::interleave::{Contender, interleave};
use crate::results::Row;
use crate::scale::Scale;
use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;
use crate::stats::each;

const MEMBERS: [usize; 3] = [1_000, 10_000, 100_000];

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let count = scale.rounds;
    let mut contenders = vec![Contender::new("single invocations", || each(on_tokio(singles(count)), count))];
    for members in MEMBERS {
        let name = format!("a group of {members}, a member");
        contenders.push(Contender::new(name, move || each(on_tokio(group(members)), members)));
    }
    interleave(scale.repeats, "ns", Some("single"), contenders)
}

async fn singles(count: usize) -> Duration {
    let rounds = Rounds::new(1_024);
    let runtime = bus("memory:", &rounds).start().await.expect("it starts");
    let began = Instant::now();
    for _ in 0..count {
        rounds.begin().await;
        runtime.invoke_async("bench.callback", PLAIN).await.expect("it is accepted");
    }
    rounds.all_ended().await;
    let took = began.elapsed();
    runtime.shutdown().await.expect("it ends");
    took
}

async fn group(members: usize) -> Duration {
    let rounds = Rounds::new(1);
    let runtime = bus("memory:", &rounds).start().await.expect("it starts");
    let began = Instant::now();
    rounds.begin().await;
    let targets = std::iter::repeat_n(("bench.target", PLAIN), members);
    runtime.fan_out(targets).on_final("bench.final").await.expect("it is accepted");
    rounds.all_ended().await;
    let took = began.elapsed();
    runtime.shutdown().await.expect("it ends");
    took
}
