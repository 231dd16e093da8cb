//! This project's side of what is compared.

use std::time::{Duration, Instant};

use zato_runtime::{Builder, Runtime};

use crate::services::{self, Gate, Ran, callback, target};
use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;

/// Two workers, as everything is measured with.
pub(crate) fn tokio() -> tokio::runtime::Runtime {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    tokio.expect("tokio starts")
}

/// Runs on one of the two workers of a tokio runtime of its own.
pub(crate) fn on_tokio<T: Send + 'static>(run: impl Future<Output = T> + Send + 'static) -> T {
    tokio().block_on(async { tokio::spawn(run).await.expect("it does not panic") })
}

/// A bus with everything that is measured.
pub(crate) fn bus(engine: &str, rounds: &Rounds) -> Builder {
    let builder = Runtime::builder().engine(engine).services(services::all());
    builder
        .provide(rounds.clone())
        .provide(Ran::default())
        .provide(Gate::new())
        .drain_limit(Duration::from_millis(1))
}

/// Rounds in memory, called by name.
pub(crate) async fn by_name(count: usize, in_flight: usize) -> Duration {
    let call = async |runtime: &Runtime| {
        runtime.invoke_async("bench.target", PLAIN).callback("bench.callback").await.expect("it is accepted");
    };
    memory(count, in_flight, call).await
}

/// Rounds in memory, called by handle.
pub(crate) async fn by_handle(count: usize, in_flight: usize) -> Duration {
    let call = async |runtime: &Runtime| {
        let call = runtime.invoke_async(target::service(), PLAIN).callback(callback::service());
        call.await.expect("it is accepted");
    };
    memory(count, in_flight, call).await
}

async fn memory(count: usize, in_flight: usize, call: impl AsyncFn(&Runtime)) -> Duration {
    let rounds = Rounds::new(in_flight);
    let runtime = bus("memory:", &rounds).start().await.expect("it starts");
    let began = Instant::now();
    for _ in 0..count {
        rounds.begin().await;
        call(&runtime).await;
    }
    rounds.all_ended().await;
    let took = began.elapsed();
    runtime.shutdown().await.expect("it ends");
    took
}

/// Rounds on a bus that is there, each called by a task of its own, as where a receipt is waited for.
pub(crate) async fn tasks(runtime: &Runtime, rounds: &Rounds, count: usize) -> Duration {
    let began = Instant::now();
    for _ in 0..count {
        rounds.begin().await;
        let runtime = runtime.clone();
        tokio::spawn(async move {
            let call = runtime.invoke_async("bench.target", PLAIN).callback("bench.callback");
            call.await.expect("it is accepted");
        });
    }
    rounds.all_ended().await;
    began.elapsed()
}
