//! This runtime.

use std::future::ready;
use std::time::Duration;

use zato_runtime::Runtime;

use super::bare_sqlite::count_rows;
use super::drive;
use crate::place;
use crate::shape::rounds::Rounds;
use crate::shape::services::{self, CALLBACK};
use crate::shape::shapes::Shape;

/// Goes through `count` rounds of a shape in memory.
pub(crate) async fn run(shape: Shape, count: usize) -> Duration {
    let rounds = Rounds::new(shape.in_flight);
    let runtime = start("memory:", &rounds).await;
    let target = services::target(shape.does);
    let runtime = &runtime;
    let call = |text: &'static str| async move {
        runtime.invoke_async(target, text).callback(CALLBACK).await.expect("it is accepted");
    };
    let took = drive(shape, count, &rounds, call).await;
    runtime.shutdown().await.expect("it ends");
    took
}

/// The same on SQLite. Each call is made by a task of its own, so that they wait for their receipts together.
pub(crate) async fn run_on_sqlite(shape: Shape, count: usize, in_flight: usize) -> Duration {
    let directory = place::directory();
    let path = directory.path().join("zato.db");
    let rounds = Rounds::new(in_flight);
    let runtime = start(&format!("sqlite:{}", path.display()), &rounds).await;
    let target = services::target(shape.does);
    let call = |text: &'static str| {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            runtime.invoke_async(target, text).callback(CALLBACK).await.expect("it is accepted");
        });
        ready(())
    };
    let took = drive(shape, count, &rounds, call).await;
    runtime.shutdown().await.expect("it ends");
    assert_eq!(count_rows(&path), shape.invocations(count), "the engine writes one row for each invocation");
    took
}

async fn start(engine: &str, rounds: &Rounds) -> Runtime {
    let builder = Runtime::builder().engine(engine).services(services::all()).provide(rounds.clone());
    // All rows are kept, so that they can be counted.
    let builder = builder.drain_limit(Duration::from_secs(1));
    builder.start().await.expect("it starts")
}
