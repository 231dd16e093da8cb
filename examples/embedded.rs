//! A runtime inside an ordinary tokio program, which goes on with its own work.
//!
//! ```console
//! $ cargo run -p zato-examples --bin embedded
//! ```
//!
//! Expected output: `expected/embedded.txt`.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use zato_core::{Context, Failure, Result, service};
use zato_runtime::{Outcome, Runtime};

/// A resource: the services get a clone of what the program provides, by its type.
#[derive(Clone, Default)]
struct Visits(Arc<Mutex<BTreeMap<String, u64>>>);

impl Visits {
    fn add(&self, page: &str) -> u64 {
        let mut visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = visits.entry(page.to_owned()).or_default();
        *count += 1;
        *count
    }

    fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

/// Counts a visit to a page; returns how many there have been.
#[service(name = "pages.visit")]
async fn visit(_: &Context, page: String, visits: &Visits) -> Result<u64> {
    if !page.starts_with('/') {
        return Err(Failure::permanent(format!("`{page}` is no page: a page begins with `/`")));
    }
    Ok(visits.add(&page))
}

/// Receives the response of a visit, and passes it on to the program.
#[service(name = "pages.visited")]
async fn visited(_: &Context, count: u64, program: &mpsc::Sender<u64>) -> Result<()> {
    Ok(program.send(count).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let visits = Visits::default();
    let (program, mut told) = mpsc::channel::<u64>(10);
    let runtime =
        Runtime::builder().engine("memory:").provide(visits.clone()).provide(program).start().await?;

    // Synchronously and typed: the response is a `u64`, since that is what `visit` returns.
    let count: u64 = runtime.invoke(visit::service(), "/home").await?;
    println!("/home: visit number {count}");

    // In the background: the CID comes at once, the outcome when there is one.
    let cid = runtime.invoke_async(visit::service(), "/home").callback(visited::service()).await?;
    println!("accepted under {cid}");
    println!("its outcome is {}", runtime.outcome(cid).await?);
    println!("its callback was told of visit number {}", told.recv().await.unwrap_or_default());

    // By name. A failure is an outcome like any other.
    let cid = runtime.invoke_async("pages.visit", "home").await?;
    match runtime.outcome(cid).await? {
        Outcome::Completed(response) => println!("it worked: {response}"),
        other => println!("it did not work: {other}"),
    }

    // A runtime is a handle: every task of the program may have a clone.
    let tasks = (0..3).map(|_| {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.invoke_async(visit::service(), "/about").await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }

    // Takes no more, finishes what was accepted, and returns.
    runtime.shutdown().await?;
    println!("{} visits in all", visits.total());
    Ok(())
}
