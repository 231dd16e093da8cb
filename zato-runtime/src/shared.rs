//! What the rooms share: made once when a runtime starts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use zato_core::Cid;

use crate::attempts::Attempts;
use crate::config::{Config, MAX_INNER_RECORDED};
use crate::engine::Engine;
use crate::observer::Observer;
use crate::record::{AttemptId, Ended};
use crate::registry::Registry;

/// The bus without its workers.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) engine: Arc<dyn Engine>,
    /// Turns true when a shutdown begins; written by the runtime alone.
    pub(crate) stopping: watch::Sender<bool>,
    /// The attempts that can be asked to stop.
    pub(crate) attempts: Attempts,
    /// Synchronous calls that have returned, by the attempt that they ran in, until that attempt is settled.
    /// Written when such a call returns, emptied by settle.
    inner: Mutex<HashMap<Cid, (u32, Vec<Ended>)>>,
    /// The door that hears of everything that happens, if one listens.
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        registry: Registry,
        engine: Arc<dyn Engine>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self {
            config,
            registry,
            engine,
            stopping: watch::Sender::new(false),
            attempts: Attempts::default(),
            inner: Mutex::default(),
            observer,
        }
    }

    /// Keeps the record of a synchronous call until the attempt that it ran in is settled.
    pub(crate) fn keep_inner(&self, anchor: AttemptId, ended: Ended) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, kept) = inner.entry(anchor.cid).or_default();
        if *number != anchor.number {
            // What an earlier attempt left went with it.
            *number = anchor.number;
            kept.clear();
        }
        if kept.len() < MAX_INNER_RECORDED {
            kept.push(ended);
        }
    }

    /// The records of the synchronous calls that ran in this attempt.
    pub(crate) fn take_inner(&self, anchor: AttemptId) -> Vec<Ended> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.is_empty() {
            return Vec::new();
        }
        match inner.remove(&anchor.cid) {
            Some((number, kept)) if number == anchor.number => kept,
            _ => Vec::new(),
        }
    }
}
