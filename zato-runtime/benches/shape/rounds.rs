//! Rounds that are in flight.
//!
//! The peers include this file too.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Limits how many rounds are in flight, and waits for the end of all that they cause. All that is measured counts with
/// this type, so that counting costs all of them the same.
#[derive(Clone)]
pub(crate) struct Rounds(Arc<Counts>);

struct Counts {
    /// One permit for each round that may begin. Taken by the caller, given back by the callback of the round.
    places: Semaphore,
    /// One permit for each callback beside those.
    beside: Semaphore,
    in_flight: u32,
}

impl Rounds {
    /// Creates a count that lets so many rounds be in flight at once.
    pub(crate) fn new(in_flight: usize) -> Self {
        let (places, beside) = (Semaphore::new(in_flight), Semaphore::new(0));
        Self(Arc::new(Counts { places, beside, in_flight: permits(in_flight) }))
    }

    /// Waits until a round may begin, and begins it.
    pub(crate) async fn begin(&self) {
        self.0.places.acquire().await.expect("it is not closed").forget();
    }

    /// Ends a round.
    pub(crate) fn end(&self) {
        self.0.places.add_permits(1);
    }

    /// Counts the end of what a round has caused beside its own callback.
    pub(crate) fn end_beside(&self) {
        self.0.beside.add_permits(1);
    }

    /// Waits until no round is in flight.
    pub(crate) async fn all_ended(&self) {
        drop(self.0.places.acquire_many(self.0.in_flight).await.expect("it is not closed"));
    }

    /// Waits until so many have ended beside the rounds, and forgets them.
    pub(crate) async fn ended_beside(&self, count: usize) {
        self.0.beside.acquire_many(permits(count)).await.expect("it is not closed").forget();
    }
}

fn permits(count: usize) -> u32 {
    u32::try_from(count).expect("not that many")
}
