//! The programs that go through the rounds of a shape: this runtime, bare tasks, the same written by hand, and on disk a
//! bare loop over SQLite.

use std::time::{Duration, Instant};

use crate::shape::rounds::Rounds;
use crate::shape::shapes::Shape;

pub(crate) mod bare;
pub(crate) mod by_hand;
pub(crate) mod bus;
pub(crate) mod bare_sqlite;

/// Calls `count` times from outside, and returns the time until everything that the calls cause has ended.
async fn drive<F: Future<Output = ()>>(
    shape: Shape,
    count: usize,
    rounds: &Rounds,
    call: impl Fn(&'static str) -> F,
) -> Duration {
    let began = Instant::now();
    for number in 0..count {
        rounds.begin().await;
        call(shape.text(number)).await;
    }
    rounds.all_ended().await;
    rounds.ended_beside(shape.beside(count)).await;
    began.elapsed()
}
