//! 8 MiB from the caller to the handler, against copying them once.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use zato_core::Payload;

use crate::bus::{bus, on_tokio};
use crate::interleave::{Contender, interleave};
use crate::results::Row;
use crate::scale::Scale;
use crate::shape::rounds::Rounds;
use crate::stats::each;

const SIZE: usize = 8 << 20;

/// How many are sent in a run.
const COUNT: usize = 20;

/// What the caller has.
#[derive(Clone, Copy)]
enum Given {
    Text,
    Payload,
}

pub(crate) fn run(scale: &Scale) -> Vec<Row> {
    let text = "x".repeat(SIZE);
    let contenders = vec![
        Contender::new("copied once", || {
            // As many are kept as the memory engine keeps of what has ended: fresh memory costs more than copying does.
            let mut kept = VecDeque::new();
            let began = Instant::now();
            for _ in 0..COUNT {
                kept.push_back(black_box(&text).clone());
                if kept.len() > 8 {
                    kept.pop_front();
                }
            }
            each(began.elapsed(), COUNT) / 1_000.0
        }),
        Contender::new("invoked with a `&str`", || each(on_tokio(sent(Given::Text)), COUNT) / 1_000.0),
        Contender::new("invoked with a `Payload`", || each(on_tokio(sent(Given::Payload)), COUNT) / 1_000.0),
    ];
    interleave(scale.repeats, "µs", Some("copied once"), contenders)
}

async fn sent(given: Given) -> Duration {
    let rounds = Rounds::new(1);
    let runtime = bus("memory:", &rounds).start().await.expect("it starts");
    let text = "x".repeat(SIZE);
    let payload = Payload::text(text.clone());
    let began = Instant::now();
    for _ in 0..COUNT {
        rounds.begin().await;
        let accepted = match given {
            Given::Text => runtime.invoke_async("bench.large", text.as_str()).await,
            Given::Payload => runtime.invoke_async("bench.large", &payload).await,
        };
        accepted.expect("it is accepted");
        rounds.all_ended().await;
    }
    let took = began.elapsed();
    runtime.shutdown().await.expect("it ends");
    took
}
