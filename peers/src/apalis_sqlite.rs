//! apalis in SQLite, as its `setup` sets it: `synchronous = OFF`, so that nothing is synced.

use std::time::{Duration, Instant};

use apalis::prelude::{
    BackendExt as _, BoxDynError, Data, TaskSink as _, WorkerBuilder, WorkerBuilderExt as _,
};
use apalis_sqlite::{Config, SqliteStorage};

use crate::round::{Round, TEXT};

/// How often a worker looks for what is new.
const EVERY: Duration = Duration::from_millis(1);

type Storage = SqliteStorage<String>;

async fn target(text: String, callbacks: Data<Storage>) -> Result<(), BoxDynError> {
    let mut callbacks = Storage::clone(&callbacks);
    callbacks.push(text).await?;
    Ok(())
}

async fn callback(text: String, round: Data<Round>) -> Result<(), BoxDynError> {
    drop(text);
    round.end();
    Ok(())
}

pub async fn run(round: Round, rounds: usize) -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = format!("sqlite:{}?mode=rwc", directory.path().join("apalis.db").display());
    let (pool, hook) = SqliteStorage::connect_with_callback(&url).expect("it is opened");
    SqliteStorage::setup(&pool).await.expect("it is set up");
    drop(hook);
    let of = |queue: &str| Storage::new(&pool).with_config(Config::default().queue(queue).batch_size(256));
    let (targets, callbacks) = (of("targets"), of("callbacks"));
    let worker =
        WorkerBuilder::new("targets").backend(targets.clone().poll_with_interval(EVERY)).concurrency(256);
    tokio::spawn(worker.data(callbacks.clone()).build(target).run());
    let worker =
        WorkerBuilder::new("callbacks").backend(callbacks.poll_with_interval(EVERY)).concurrency(256);
    tokio::spawn(worker.data(round.clone()).build(callback).run());
    let began = Instant::now();
    for _ in 0..rounds {
        round.begin().await;
        let mut targets = targets.clone();
        tokio::spawn(async move { targets.push(TEXT.to_owned()).await.expect("it is pushed") });
    }
    round.ended(began).await
}
