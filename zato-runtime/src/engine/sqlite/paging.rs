//! What waits on disk alone: it is read when its turn comes near, and counted once.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::sleep;
use zato_core::ServiceName;

use super::engine::Inner;
use super::error::StoreError;
use super::restart::left;
use super::{lookups, schema, sweep};
use crate::engine::contract::StoreFault;

/// How long to wait before what could not be read is read again.
const RETRY: Duration = Duration::from_secs(1);

impl Inner {
    /// Reads more of what waits, where a queue is short of it.
    pub(super) fn feed(self: &Arc<Self>) {
        loop {
            let (hungry, now) = {
                let state = &mut self.guarded().state;
                if state.holds_back {
                    return;
                }
                let Some(hungry) = state.queues.take_hungry() else { return };
                state.news.keep();
                (hungry, state.clock.now().max(state.restored_at))
            };
            let (service, name, most) = hungry;
            let (inner, after) = (self.clone(), self.not_ours.unwrap_or_default());
            self.tokio.spawn_blocking(move || {
                let page = inner.pager.read(|reader| lookups::line(reader, &name, now, after, most));
                match page {
                    Ok(page) => {
                        let is_all = page.len() < most;
                        let page = page.into_iter().map(left).collect();
                        drop(inner.change(false, move |state| state.refill(service, page, is_all)));
                        inner.startable.notify_one();
                    }
                    Err(fault) => inner.feed_later(service, name, &fault),
                }
            });
        }
    }

    /// It could not be read.
    fn feed_later(self: &Arc<Self>, service: u32, name: ServiceName, fault: &StoreFault) {
        tracing::error!(engine = self.url, service = %name, error = %fault, "what waits cannot be read now; it is tried again");
        let inner = Arc::downgrade(self);
        self.tokio.spawn(async move {
            sleep(RETRY).await;
            if let Some(inner) = inner.upgrade() {
                drop(inner.change(false, move |state| state.refill(service, Vec::new(), false)));
            }
        });
    }

    /// Counts what an earlier process has left waiting, beside all else. Called before anything is changed, and once so
    /// many of them have been counted.
    pub(super) fn count_left(self: &Arc<Self>, left: Connection, counted: (i64, i64)) {
        let inner = self.clone();
        self.tokio.spawn_blocking(move || {
            let found = lookups::count(&left).and_then(|waits| Ok((waits, sweep::count(&left)?)));
            match found {
                Ok(((waiting, bytes), kept)) => {
                    *inner.counted.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
                    let state = &mut inner.guarded().state;
                    state.waiting += waiting - counted.0;
                    state.waiting_bytes += bytes - counted.1;
                    inner.sweep_now();
                }
                Err(error) => tracing::warn!(
                    engine = inner.url, %error,
                    "what is held could not be counted: nothing is swept before the program is started again"
                ),
            }
        });
    }

    /// A connection that goes on seeing what the file holds now.
    pub(super) fn as_it_is_now(&self) -> Result<Connection, StoreFault> {
        let path = self.file().path().to_owned();
        let of = |error| StoreFault::new(&StoreError::of(&path, error));
        let connection = schema::open_reader(&path).map_err(|error| StoreFault::new(&error))?;
        connection.execute_batch("BEGIN; SELECT 1 FROM service LIMIT 1").map_err(of)?;
        Ok(connection)
    }
}
