//! Rounds that are under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// A string of 32 bytes.
pub const TEXT: &str = "a payload of thirty-two bytes...";

/// Lets so many rounds be under way at once.
#[derive(Clone)]
pub struct Round {
    places: Arc<Semaphore>,
    in_flight: u32,
}

impl Round {
    pub fn new(in_flight: u32) -> Self {
        Self { places: Arc::new(Semaphore::new(in_flight as usize)), in_flight }
    }

    /// Waits for a place, and takes it.
    pub async fn begin(&self) {
        self.places.acquire().await.expect("it is not closed").forget();
    }

    /// Gives a place back.
    pub fn end(&self) {
        self.places.add_permits(1);
    }

    /// Waits for all, and says how long ago `began` was.
    pub async fn ended(&self, began: Instant) -> Duration {
        let _all = self.places.acquire_many(self.in_flight).await.expect("it is not closed");
        began.elapsed()
    }
}

/// What the program that compares reads.
pub fn print(peer: &str, rounds: usize, in_flight: u32, took: Duration) {
    let nanos = u64::try_from(took.as_nanos()).expect("it did not take that long");
    println!(
        "{}",
        serde_json::json!({ "peer": peer, "rounds": rounds, "in_flight": in_flight, "nanos": nanos })
    );
}
