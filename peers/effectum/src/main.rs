//! effectum: a job adds another. `peer-effectum effectum ROUNDS IN_FLIGHT` prints one line of JSON.
//!
//! It sets `synchronous = normal`: a commit is not synced.

#[path = "../../src/print.rs"]
mod print;
#[allow(dead_code)]
#[path = "../../../zato-runtime/benches/shape/rounds.rs"]
mod rounds;
#[allow(dead_code)]
#[path = "../../../zato-runtime/benches/shape/shapes.rs"]
mod shapes;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use effectum::{Error, Job, JobRunner, Queue, RunningJob, Worker};

use crate::rounds::Rounds;
use crate::shapes::PLAIN;

struct Shared {
    queue: Arc<Queue>,
    round: Rounds,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

async fn target(job: RunningJob, shared: Arc<Shared>) -> Result<String, Error> {
    let text: String = job.json_payload()?;
    Job::builder("callback").json_payload(&text)?.add_to(&shared.queue).await?;
    Ok(text)
}

async fn callback(job: RunningJob, shared: Arc<Shared>) -> Result<(), Error> {
    drop(job.json_payload::<String>()?);
    shared.round.end();
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, rounds, in_flight] = arguments.as_slice() else {
        panic!("peer-effectum effectum ROUNDS IN_FLIGHT")
    };
    let (rounds, in_flight) = (rounds.parse().expect("a number"), in_flight.parse().expect("a number"));
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let took = tokio.expect("tokio starts").block_on(async {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let queue = Arc::new(Queue::new(&directory.path().join("effectum.db")).await.expect("it is opened"));
        let shared = Arc::new(Shared { queue: queue.clone(), round: Rounds::new(in_flight) });
        let jobs =
            [JobRunner::builder("target", target).build(), JobRunner::builder("callback", callback).build()];
        let worker = Worker::builder(&queue, shared.clone()).jobs(jobs);
        let _worker = worker.min_concurrency(64).max_concurrency(256).build().await.expect("it starts");
        let began = Instant::now();
        for _ in 0..rounds {
            shared.round.begin().await;
            let queue = queue.clone();
            tokio::spawn(async move {
                let job = Job::builder("target").json_payload(PLAIN).expect("it is text");
                job.add_to(&queue).await.expect("it is added");
            });
        }
        shared.round.all_ended().await;
        began.elapsed()
    });
    print::print(peer, rounds, in_flight, took);
    std::process::exit(0);
}
