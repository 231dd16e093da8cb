//! Rounds that are under way.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A string of 32 bytes.
pub(crate) const TEXT: &str = "a payload of thirty-two bytes...";

/// Lets so many rounds be under way.
#[derive(Clone)]
pub(crate) struct Rounds {
    places: Arc<Semaphore>,
    in_flight: u32,
}

impl Rounds {
    pub(crate) fn new(in_flight: usize) -> Self {
        let places = Arc::new(Semaphore::new(in_flight));
        Self { places, in_flight: u32::try_from(in_flight).expect("not that many") }
    }

    /// Waits for a place, and takes it.
    pub(crate) async fn begin(&self) {
        self.places.acquire().await.expect("it is not closed").forget();
    }

    /// Gives a place back.
    pub(crate) fn end(&self) {
        self.places.add_permits(1);
    }

    /// Waits until nothing is under way.
    pub(crate) async fn all_ended(&self) {
        drop(self.places.acquire_many(self.in_flight).await.expect("it is not closed"));
    }
}
