//! Reads invocations that wait on disk only when their turn comes near, and counts them once.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::sleep;

use super::engine::Inner;
use super::file::connect;
use super::file::error::StoreError;
use super::read::{queries, queue_queries};
use super::rows::kept;
use super::store::SqliteStore;
use crate::engine::contract::StoreFault;
use crate::engine::state::{ExpiryPage, Pending, ReadRequest, SpillPage, State};

/// How many are read at once of what is to be ended.
const PAGE: usize = 1_024;

/// How long to wait before what could not be read is read again.
const RETRY: Duration = Duration::from_secs(1);

impl Inner {
    /// Reads more of what waits, where a queue is short of it.
    pub(super) fn feed(self: &Arc<Self>) {
        loop {
            let Some(hunger) = self.guarded().state.take_read_request() else { return };
            let (inner, not_ours) = (self.clone(), self.not_ours);
            self.run(&self.threads.pager, move || match hunger {
                ReadRequest::Spill { service, name, now, most, since } => {
                    match inner.pager.read(|reader| queue_queries::line(reader, &name, now, not_ours, most)) {
                        Ok((first, next_due)) => {
                            let is_all = first.len() < most;
                            let line = SpillPage {
                                first: first.into_iter().map(Pending::from).collect(),
                                is_all,
                                next_due,
                                since,
                            };
                            inner.fed(move |state| state.refill(service, line));
                        }
                        Err(fault) => {
                            inner
                                .feed_later(&fault, move |state| state.refill(service, SpillPage::default()));
                        }
                    }
                }
                ReadRequest::Expiries { until, after, since } => {
                    match inner.pager.read(|reader| queue_queries::ends(reader, until, after, not_ours, PAGE))
                    {
                        Ok((first, next)) => {
                            let last = first.last().filter(|_| first.len() == PAGE);
                            let last = last.map(|(at, row)| (*at, row.number));
                            let next = last.map(|(at, _)| at).or(next);
                            let first = first.into_iter().map(|(_, row)| Pending::from(row)).collect();
                            inner
                                .fed(move |state| state.end_written(ExpiryPage { first, last, next, since }));
                        }
                        Err(fault) => inner.feed_later(&fault, move |state| {
                            state.end_written(ExpiryPage {
                                first: Vec::new(),
                                last: after,
                                next: Some(until),
                                since,
                            });
                        }),
                    }
                }
                ReadRequest::Lanes => inner.feed_later(&inner.unread(), State::mend_lanes),
            });
        }
    }

    /// What was read is held.
    fn fed(self: &Arc<Self>, change: impl FnOnce(&mut State<SqliteStore>)) {
        drop(self.change(false, change));
        self.startable.notify_one();
    }

    /// Something could not be read.
    fn feed_later(
        self: &Arc<Self>,
        fault: &StoreFault,
        change: impl FnOnce(&mut State<SqliteStore>) + Send + 'static,
    ) {
        tracing::error!(engine = self.url, error = %fault, "waiting invocations cannot be read from the store now; the read is retried");
        let inner = Arc::downgrade(self);
        self.look_at_locks();
        self.tokio.spawn(async move {
            sleep(RETRY).await;
            if let Some(inner) = inner.upgrade() {
                inner.fed(change);
            }
        });
    }

    fn unread(&self) -> StoreFault {
        StoreFault::new(&format!("`{}` does not tell who has a concurrency key next", self.url))
    }

    /// Counts what an earlier process has left waiting, beside all else, and mends what it has left broken. `left` sees
    /// what the file held before anything was changed.
    pub(super) fn count_left(self: &Arc<Self>, left: Connection) {
        let inner = self.clone();
        self.run(&self.threads.checkpointer, move || {
            if !inner.leaves_alone {
                inner.mend_lanes(&left);
            }
            let found = queries::count(&left).and_then(|waits| Ok((waits, kept::count(&left)?)));
            match found {
                Ok(((waiting, bytes), kept)) => {
                    *inner.counted.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
                    let state = &mut inner.guarded().state;
                    state.waiting += waiting;
                    state.waiting_bytes += bytes;
                    inner.sweep_now();
                }
                Err(error) => tracing::warn!(
                    engine = inner.url, %error,
                    "the rows of the store could not be counted: retention deletes nothing until the next start"
                ),
            }
        });
    }

    /// Gives the keys on that nobody has: their process died while those that had them had ended and lingered.
    fn mend_lanes(self: &Arc<Self>, left: &Connection) {
        match queue_queries::keyless_lanes(left, self.not_ours) {
            Ok(keyless_lanes) => self.fed(move |state| {
                for (service, key) in &keyless_lanes {
                    state.mend_lane_of(service, key);
                }
                state.has_mended = true;
            }),
            Err(error) => tracing::error!(
                engine = self.url, %error,
                "concurrency keys that the last process left could not all be passed on; the next start tries again"
            ),
        }
    }

    /// A connection that goes on seeing what the file holds now.
    pub(super) fn as_it_is_now(&self) -> Result<Connection, StoreFault> {
        let path = self.file().path().to_owned();
        let of = |error| StoreFault::new(&StoreError::of(&path, error));
        let connection = connect::open_reader(&path).map_err(|error| StoreFault::new(&error))?;
        connection.execute_batch("BEGIN; SELECT 1 FROM service LIMIT 1").map_err(of)?;
        Ok(connection)
    }
}
