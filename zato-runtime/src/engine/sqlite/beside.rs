//! The file as another process reads it: beside its owner, or without one. Each look-up is one short reading.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rusqlite::{Connection, params};
use tokio::task::spawn_blocking;
use zato_core::bus::Step;
use zato_core::{Cid, Invocation, ServiceName};

use super::codec::{self, CancelNote, ReadCid};
use super::columns::{EndedRow, LiveRow, Stands, Stored};
use super::error::StoreError;
use super::{lock, lookups, schema, trees};
use crate::engine::contract::{Beside, LookUps, StoreFault};
use crate::found::{Counts, Filter, Found, Status, Tree, Waits};
use crate::record::Batch;

/// A store that is only read.
pub(crate) struct Reads(Arc<Inner>);

struct Inner {
    path: Box<Path>,
    connection: Mutex<Connection>,
}

impl Reads {
    /// Opens the store at `path`; takes no lock, and makes nothing.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Mutex::new(schema::open_reader(path)?);
        Ok(Self(Arc::new(Inner { path: path.into(), connection })))
    }

    /// Reads what is committed at one moment, where it may wait for the disk: on a thread for such work.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Step<'_, Result<T, StoreFault>> {
        let inner = self.0.clone();
        Step::later(async move {
            let path = inner.path.clone();
            let read = spawn_blocking(move || {
                let mut connection = inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
                let moment = connection.transaction()?;
                read(&moment)
            });
            match read.await {
                Ok(Ok(read)) => Ok(read),
                Ok(Err(error)) => Err(StoreFault::new(&StoreError::of(&path, error))),
                Err(error) => Err(StoreFault::new(&format!("`{}` was not read: {error}", path.display()))),
            }
        })
    }

    /// What there is to know beside the rows.
    fn around(&self) -> impl FnOnce(&Connection) -> rusqlite::Result<Around> + use<> {
        let is_run = self.is_run();
        move |connection| Ok(Around { is_run, now: SystemTime::now(), paused: lookups::paused(connection)? })
    }
}

impl LookUps for Reads {
    fn find(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<Option<Found>>, StoreFault>> {
        let around = self.around();
        self.read(move |connection| {
            let around = around(connection)?;
            let find =
                |cid| lookups::find(connection, cid)?.map(|row| around.found(connection, row)).transpose();
            batch.into_iter().map(find).collect()
        })
    }

    fn tree(&self, root: Cid) -> Step<'_, Result<Tree, StoreFault>> {
        let around = self.around();
        self.read(move |connection| {
            let around = around(connection)?;
            let rows = trees::tree(connection, root)?.into_iter();
            let found =
                rows.map(|row| around.found(connection, row)).collect::<rusqlite::Result<Vec<_>>>()?;
            let swept = usize::from(!found.iter().any(|found| found.cid() == root));
            Ok(Tree { found, swept })
        })
    }

    fn list(&self, filter: &Filter) -> Step<'_, Result<Vec<Found>, StoreFault>> {
        let (around, filter) = (self.around(), filter.clone());
        self.read(move |connection| {
            let around = around(connection)?;
            let rows = lookups::list(connection, &filter)?.into_iter();
            rows.map(|row| around.found(connection, row)).collect()
        })
    }
}

impl Beside for Reads {
    fn counts(&self) -> Step<'_, Result<Counts, StoreFault>> {
        self.read(|connection| {
            let sql = "SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1),
                              count(*) FILTER (WHERE state = 2) FROM invocation WHERE state < 3";
            let counts = |row: &rusqlite::Row<'_>| {
                Ok(Counts { waiting: row.get(0)?, running: row.get(1)?, open: row.get(2)? })
            };
            connection.query_row(sql, [], counts)
        })
    }

    fn is_run(&self) -> bool {
        lock::is_owned(&self.0.path)
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reads").field(&self.0.path).finish()
    }
}

/// What there is to know beside a row, to say where its invocation stands.
struct Around {
    is_run: bool,
    now: SystemTime,
    paused: Vec<ServiceName>,
}

impl Around {
    /// Where the invocation of a row stands, as far as the file tells.
    fn found(&self, connection: &Connection, row: Stored) -> rusqlite::Result<Found> {
        let row = match row {
            Stored::Live(row) => row,
            Stored::Ended(EndedRow { ended, again, .. }) => {
                let (invocation, before) = (ended.invocation.clone(), ended.before.clone());
                return Ok(Found::new(invocation, ended.attempts, before, Status::Ended { ended, again }));
            }
        };
        let status = match row.stands {
            Stands::Running(since) => Status::Running { since, is_cancelled: row.cancel != CancelNote::No },
            Stands::Open => Status::Open(left(connection, row.invocation.cid)?),
            Stands::Waiting => Status::Waiting(self.waits(connection, &row)?),
        };
        Ok(Found::new(row.invocation, row.attempts, row.progress, status))
    }

    /// What one waits for. What its process alone knows, as which places are taken, is not told: that is its turn.
    fn waits(&self, connection: &Connection, row: &LiveRow) -> rusqlite::Result<Waits> {
        let invocation = &*row.invocation;
        if self.is_run && row.cancel != CancelNote::No {
            return Ok(Waits::End);
        }
        if self.paused.contains(&invocation.service) {
            return Ok(Waits::Resume);
        }
        let interrupted = row.progress.as_ref().is_some_and(|progress| progress.next_at.is_none());
        if interrupted && !self.is_run {
            return Ok(Waits::Restart);
        }
        if let Some(held_by) = ahead(connection, row.number, invocation)? {
            let options = invocation.options.as_deref();
            let key = options.and_then(|options| options.concurrency_key.clone()).unwrap_or_default();
            return Ok(Waits::Key { key, held_by });
        }
        let next_at = row.progress.as_ref().and_then(|progress| progress.next_at);
        if let Some(at) = next_at.or(invocation.due.map(Into::into)).filter(|at| *at > self.now) {
            return Ok(Waits::Until(at));
        }
        Ok(Waits::Turn)
    }
}

/// How many members of a group have not ended.
fn left(connection: &Connection, group: Cid) -> rusqlite::Result<u32> {
    let sql = "SELECT count(*) FROM invocation WHERE slot_group = ?1 AND state < 3";
    connection.prepare_cached(sql)?.query_row([codec::cid(group)], |row| row.get(0))
}

/// Who has the concurrency key of an invocation, if it has one and another has it.
fn ahead(connection: &Connection, number: u64, invocation: &Invocation) -> rusqlite::Result<Option<Cid>> {
    let Some(key) = invocation.options.as_deref().and_then(|options| options.concurrency_key.as_deref())
    else {
        return Ok(None);
    };
    let sql = "SELECT cid FROM invocation WHERE state < 3 AND accept < ?1 AND lane = ?2
        AND service = (SELECT id FROM service WHERE name = ?3) ORDER BY accept LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![number, key, invocation.service.as_str()])?;
    rows.next()?.map(|row| Ok(row.get::<_, ReadCid>(0)?.0)).transpose()
}
