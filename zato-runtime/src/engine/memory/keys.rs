//! Idempotency keys: the first CID of each, for as long as keys live.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use zato_core::{Cid, ServiceName};

use crate::engine::contract::Refused;
use crate::record::Key;

/// The keys that live, apart from the records of what was called under them.
#[derive(Debug)]
pub(super) struct Keys {
    by_name: HashMap<(ServiceName, Arc<str>), First>,
    /// In the order in which they came, which is that in which they go.
    order: VecDeque<(Instant, (ServiceName, Arc<str>))>,
    retention: Duration,
}

/// The first call under a key.
#[derive(Debug, Clone, Copy)]
struct First {
    cid: Cid,
    digest: u128,
}

impl Keys {
    pub(super) fn new(retention: Duration) -> Self {
        Self { by_name: HashMap::new(), order: VecDeque::new(), retention }
    }

    /// The CID that the key stands for, if it is known; a conflict if it was another call.
    pub(super) fn find(&mut self, service: &ServiceName, key: &Key) -> Result<Option<Cid>, Refused> {
        self.forget_old();
        match self.by_name.get(&(*service, Arc::from(&*key.name))) {
            None => Ok(None),
            Some(first) if first.digest == key.digest => Ok(Some(first.cid)),
            Some(first) => Err(Refused::KeyConflict { first: first.cid }),
        }
    }

    pub(super) fn note(&mut self, service: &ServiceName, key: Key, cid: Cid) {
        let name = (*service, Arc::from(key.name));
        self.order.push_back((Instant::now(), name.clone()));
        self.by_name.insert(name, First { cid, digest: key.digest });
    }

    fn forget_old(&mut self) {
        while let Some((_, name)) = self.order.pop_front_if(|(since, _)| since.elapsed() >= self.retention) {
            self.by_name.remove(&name);
        }
    }
}
