//! The services that are measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use zato_core::{Context, Payload, Registration, Result, service};

use crate::shape::rounds::Rounds;

/// Counts what has run.
#[derive(Clone, Default)]
pub(crate) struct Ran(Arc<AtomicUsize>);

impl Ran {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets as many handlers of `bench.gated` end as it is opened for.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open_once(&self) {
        self.0.add_permits(1);
    }
}

#[service(name = "bench.gated")]
pub(crate) async fn gated(_: &Context, _text: String, gate: &Gate, rounds: &Rounds) -> Result<()> {
    gate.0.acquire().await?.forget();
    rounds.end();
    Ok(())
}

#[service(name = "bench.target")]
pub(crate) async fn target(_: &Context, text: String) -> Result<String> {
    Ok(text)
}

#[service(name = "bench.callback")]
pub(crate) async fn callback(_: &Context, _text: String, rounds: &Rounds) -> Result<()> {
    rounds.end();
    Ok(())
}

#[service(name = "bench.final")]
pub(crate) async fn last(_: &Context, _all: Payload, rounds: &Rounds) -> Result<()> {
    rounds.end();
    Ok(())
}

#[service(name = "bench.crowd")]
pub(crate) async fn crowd(_: &Context, _text: String, ran: &Ran) -> Result<()> {
    ran.0.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[service(name = "bench.sleep")]
pub(crate) async fn sleep(_: &Context, _text: String, rounds: &Rounds) -> Result<()> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    rounds.end();
    Ok(())
}

/// Holds its thread for 100 ms.
#[service(name = "bench.block")]
pub(crate) async fn block(_: &Context, (): ()) -> Result<()> {
    std::thread::sleep(Duration::from_millis(100));
    Ok(())
}

#[service(name = "bench.large")]
pub(crate) async fn large(_: &Context, payload: Payload, rounds: &Rounds) -> Result<()> {
    std::hint::black_box(payload.as_bytes());
    rounds.end();
    Ok(())
}

/// One of sixteen targets.
macro_rules! sixteen {
    ($($name:ident)*) => {
        $(
            #[service]
            async fn $name(_: &Context, text: String) -> Result<String> {
                Ok(text)
            }
        )*

        /// Sixteen targets' names.
        pub(crate) const SIXTEEN: [&str; 16] = [$($name::NAME),*];

        /// All services that are measured, but those that are thousands.
        pub(crate) fn all() -> Vec<Registration> {
            vec![
                target::service().erased(),
                callback::service().erased(),
                last::service().erased(),
                crowd::service().erased(),
                sleep::service().erased(),
                block::service().erased(),
                large::service().erased(),
                gated::service().erased(),
                $($name::service().erased()),*
            ]
        }
    };
}

sixteen!(s01 s02 s03 s04 s05 s06 s07 s08 s09 s10 s11 s12 s13 s14 s15 s16);
