//! apalis in memory: a worker pushes to the storage of another, and what runs is spawned.

use std::sync::Arc;
use std::time::{Duration, Instant};

use apalis::prelude::{
    BoxDynError, Data, MemorySink, MemoryStorage, Task, WorkerBuilder, WorkerBuilderExt as _,
};
use apalis_core::worker::ext::parallelize::ParallelizeExt as _;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::lock::Mutex;
use futures::{SinkExt as _, StreamExt as _};

use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;

type Storage = MemoryStorage<String>;

/// What pushes. A `MemorySink` that is cloned panics where two push at once, so each storage is pushed to by sinks of their
/// own on its channel, and handlers share one behind a lock.
type Sink = Arc<Mutex<MemorySink<String>>>;

fn sink(sender: UnboundedSender<Task<String>>) -> MemorySink<String> {
    MemorySink::new(Arc::new(Mutex::new(Box::new(sender.sink_map_err(Into::into)))))
}

fn storage() -> (Storage, Sink) {
    let (sender, receiver) = unbounded();
    let storage = MemoryStorage::new_with(sink(sender.clone()), receiver.boxed());
    (storage, Arc::new(Mutex::new(sink(sender))))
}

async fn target(text: String, callbacks: Data<Sink>) -> Result<(), BoxDynError> {
    callbacks.lock().await.feed(Task::new(text)).await?;
    Ok(())
}

async fn callback(text: String, round: Data<Rounds>) -> Result<(), BoxDynError> {
    drop(text);
    round.end();
    Ok(())
}

pub async fn run(round: Rounds, rounds: usize) -> Duration {
    let ((targets, calls), (callbacks, told)) = (storage(), storage());
    let worker = WorkerBuilder::new("targets").backend(targets).concurrency(1_024).parallelize(tokio::spawn);
    tokio::spawn(worker.data(told).build(target).run());
    let worker =
        WorkerBuilder::new("callbacks").backend(callbacks).concurrency(1_024).parallelize(tokio::spawn);
    tokio::spawn(worker.data(round.clone()).build(callback).run());
    let began = Instant::now();
    for _ in 0..rounds {
        round.begin().await;
        calls.lock().await.feed(Task::new(PLAIN.to_owned())).await.expect("it is pushed");
    }
    round.all_ended().await;
    began.elapsed()
}
