//! apalis in SQLite, as its `setup` sets it: `synchronous = OFF`, so that nothing is synced.

use std::time::{Duration, Instant};

use apalis::prelude::{BoxDynError, Data, TaskSink as _, WorkerBuilder, WorkerBuilderExt as _};
use apalis_sqlite::{Config, SqliteStorage};

use crate::shape::rounds::Rounds;
use crate::shape::shapes::PLAIN;

type Storage = SqliteStorage<String>;

async fn target(text: String, callbacks: Data<Storage>) -> Result<(), BoxDynError> {
    let mut callbacks = Storage::clone(&callbacks);
    callbacks.push(text).await?;
    Ok(())
}

async fn callback(text: String, round: Data<Rounds>) -> Result<(), BoxDynError> {
    drop(text);
    round.end();
    Ok(())
}

pub async fn run(round: Rounds, rounds: usize) -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = format!("sqlite:{}?mode=rwc", directory.path().join("apalis.db").display());
    // A pool for each queue, since what a hook tells of is what is pushed through its pool.
    let (pool, hook) = SqliteStorage::connect_with_callback(&url).expect("it is opened");
    SqliteStorage::setup(&pool).await.expect("it is set up");
    let targets = Storage::new(&pool).with_config(Config::default().queue("targets").batch_size(256));
    let worker = WorkerBuilder::new("targets").backend(targets.clone().with_callback(hook));
    let (pool, hook) = SqliteStorage::connect_with_callback(&url).expect("it is opened");
    let callbacks = Storage::new(&pool).with_config(Config::default().queue("callbacks").batch_size(256));
    tokio::spawn(worker.concurrency(256).data(callbacks.clone()).build(target).run());
    let worker = WorkerBuilder::new("callbacks").backend(callbacks.with_callback(hook));
    tokio::spawn(worker.concurrency(256).data(round.clone()).build(callback).run());
    let began = Instant::now();
    for _ in 0..rounds {
        round.begin().await;
        let mut targets = targets.clone();
        tokio::spawn(async move { targets.push(PLAIN.to_owned()).await.expect("it is pushed") });
    }
    round.all_ended().await;
    began.elapsed()
}
