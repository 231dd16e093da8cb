//! Look-ups: live invocations are in the state, ended ones in the file or on their way there.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;
use zato_core::bus::Step;
use zato_core::{Cid, Invocation};

use super::engine::{Inner, Sqlite};
use super::read::tree_queries::Link;
use super::read::{queries, tree_queries};
use super::rows::columns::Stored;
use super::store::SqliteStore;
use crate::engine::contract::{LookUps, StoreFault};
use crate::engine::state::{Entry, State};
use crate::record::lookup::{Filter, InvocationInfo, Status, StatusFilter, Tree, WaitReason};
use crate::record::{Batch, Ended};

impl LookUps for Sqlite {
    fn find(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<Option<InvocationInfo>>, StoreFault>> {
        Step::later(async move {
            self.0.run_due_timers().await?;
            let look = || {
                let state = &self.0.guarded().state;
                let unwritten = state.store.unwritten_ends();
                batch.iter().map(|cid| state.look(*cid, &unwritten)).collect()
            };
            match look() {
                // It may have been a lock of this process's own, which is free then.
                Err(_) if self.0.look_at_locks() => look(),
                found => found,
            }
        })
    }

    fn tree(&self, root: Cid) -> Step<'_, Result<Tree, StoreFault>> {
        Step::later(async move {
            let mut found = self.0.read(move |reader| tree_queries::tree(reader, root)).await?;
            // A root that is recorded when it ends has no row before.
            if !found.iter().any(|found| found.cid() == root)
                && let Some(there) = self.0.look(root)?.filter(|there| there.invocation.root == root)
            {
                let at = found.partition_point(|found| found.cid() < root);
                found.insert(at, there);
            }
            let swept = gaps(&found, root);
            Ok(Tree { found, swept })
        })
    }

    fn list(&self, filter: &Filter) -> Step<'_, Result<Vec<InvocationInfo>, StoreFault>> {
        let filter = filter.clone();
        Step::later(async move {
            self.0.run_due_timers().await?;
            let asked = filter.clone();
            let rows = self.0.rows(move |reader| queries::list(reader, &asked)).await?;
            let mut found = self.0.listed(rows, &filter)?;
            found.retain(|found| is_in_stage(found, filter.stage));
            Ok(found)
        })
    }
}

impl Inner {
    /// Waits until all that was changed before is on disk, so that a look-up sees it; but not for a writer that fails or
    /// takes long.
    async fn run_due_timers(self: &Arc<Self>) -> Result<(), StoreFault> {
        self.watch();
        if *self.is_behind.borrow() {
            return Ok(());
        }
        let written = self.change(false, |_| ());
        let mut is_behind = self.is_behind.subscribe();
        tokio::select! {
            biased;
            written = written => written,
            _ = is_behind.wait_for(|is_behind| *is_behind) => Ok(()),
        }
    }

    /// Reads rows, and shows each as it stands. They lag while changes are not written in time.
    pub(super) async fn read(
        self: &Arc<Self>,
        read: impl Fn(&Connection) -> rusqlite::Result<Vec<Stored>> + Send + 'static,
    ) -> Result<Vec<InvocationInfo>, StoreFault> {
        self.run_due_timers().await?;
        let rows = self.rows(read).await?;
        let state = &self.guarded().state;
        let unwritten = state.store.unwritten_ends();
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.extend(state.row(row, &unwritten)?);
        }
        Ok(found)
    }

    /// The rows that were read for a list, each as it stands, and among them what passes the filter and has no row before it
    /// ends. The order is that of the accept numbers, the newest first.
    fn listed(
        self: &Arc<Self>,
        rows: Vec<Stored>,
        filter: &Filter,
    ) -> Result<Vec<InvocationInfo>, StoreFault> {
        let state = &self.guarded().state;
        let unwritten = state.store.unwritten_ends();
        let mut listed: Vec<(u64, InvocationInfo)> = Vec::with_capacity(rows.len());
        let read: HashSet<Cid> = rows.iter().map(|row| row.invocation().cid).collect();
        for row in rows {
            let number = row.number();
            listed.extend(state.row(row, &unwritten)?.map(|found| (number, found)));
        }
        let before = |cid: Cid| filter.before.is_none_or(|before| cid < before);
        for (cid, number) in state.store.unrecorded().filter(|(cid, _)| before(*cid) && !read.contains(cid)) {
            let Some(held) = state.held.get(&cid) else { continue };
            let is_of = |service: &str| held.invocation().service.as_str() == service;
            if filter.service.as_deref().is_none_or(is_of) {
                let shown = state.shown(held, &unwritten);
                listed.extend(Some((number, shown)).filter(|(_, found)| is_in_stage(found, filter.stage)));
            }
        }
        listed.sort_by_key(|(number, _)| Reverse(*number));
        listed.truncate(filter.limit);
        Ok(listed.into_iter().map(|(_, found)| found).collect())
    }

    /// Where one stands, as far as its end is recorded.
    fn look(self: &Arc<Self>, cid: Cid) -> Result<Option<InvocationInfo>, StoreFault> {
        let state = &self.guarded().state;
        state.look(cid, &state.store.unwritten_ends())
    }

    /// Reads what is committed.
    async fn rows<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let inner = self.clone();
        let (answer, answered) = oneshot::channel();
        self.run(&self.threads.reader, move || {
            let mut rows = inner.reader.read(&read);
            if inner.look_at_locks() && rows.is_err() {
                // It may have been a lock of this process's own, which is free now.
                rows = inner.reader.read(&read);
            }
            // Who no longer listens needs no answer.
            let _ = answer.send(rows);
        });
        answered.await.map_err(|_| self.closed())?
    }

    /// Everything of the tree below an invocation that has not ended.
    pub(super) async fn below(self: &Arc<Self>, cid: Cid) -> Result<Vec<Cid>, StoreFault> {
        loop {
            // What has ended since it was read may have created others, which are then read too.
            if let Some(below) = self.below_once(cid).await? {
                return Ok(below);
            }
        }
    }

    /// The same as far as it was read at one moment; `None` if some of it has ended since.
    async fn below_once(self: &Arc<Self>, cid: Cid) -> Result<Option<Vec<Cid>>, StoreFault> {
        // None of it may be missed: all that was changed before is on disk first.
        let found = self.change(true, move |state| state.find(cid)).await??;
        let Some(root) = found.map(|found| found.invocation.root) else { return Ok(Some(Vec::new())) };
        let links = self.rows(move |reader| tree_queries::links(reader, root)).await?;
        let there: HashSet<_> = links.iter().map(|link| link.cid).collect();
        let mut children: HashMap<Cid, Vec<&Link>> = HashMap::new();
        for link in &links {
            if let Some(above) = link.above {
                // What is below one that is forgotten is below the root.
                let above = if there.contains(&above) { above } else { root };
                children.entry(above).or_default().push(link);
            }
        }
        let guarded = self.guarded();
        let (mut below, mut next) = (Vec::new(), vec![cid]);
        while let Some(parent) = next.pop() {
            for child in children.remove(&parent).unwrap_or_default() {
                next.push(child.cid);
                // What it has become since is in the state.
                let has_ended = guarded.state.held.get(&child.cid).is_some_and(Entry::has_ended);
                if child.is_live && has_ended {
                    return Ok(None);
                }
                if child.is_live {
                    below.push(child.cid);
                }
            }
        }
        Ok(Some(below))
    }
}

impl State<SqliteStore> {
    /// Where one stands, as far as its end is recorded.
    fn look(&self, cid: Cid, unwritten: &HashSet<Cid>) -> Result<Option<InvocationInfo>, StoreFault> {
        match self.held.get(&cid) {
            Some(held) => Ok(Some(self.shown(held, unwritten))),
            None => self.find(cid),
        }
    }

    /// A row that was read, as it stands now.
    fn row(&self, row: Stored, unwritten: &HashSet<Cid>) -> Result<Option<InvocationInfo>, StoreFault> {
        let cid = row.invocation().cid;
        match (row, self.held.get(&cid)) {
            (_, Some(held)) => Ok(Some(self.shown(held, unwritten))),
            (Stored::Ended(row), None) => Ok(Some(InvocationInfo::ended(row.ended, row.again))),
            // It has ended since, or been swept.
            (Stored::Live(_), None) => self.find(cid),
        }
    }

    fn shown(&self, held: &Entry, unwritten: &HashSet<Cid>) -> InvocationInfo {
        match held {
            Entry::Ended { ended, .. } if unwritten.contains(&ended.invocation.cid) => unrecorded(ended),
            held => self.found(held),
        }
    }
}

/// What has ended in memory alone: it may run again in the next process.
fn unrecorded(ended: &Ended) -> InvocationInfo {
    let status = match ended.started_at {
        Some(since) => Status::Running { since: since.into(), is_cancelled: false },
        None if ended.outcome.is_completed() => Status::Open(0),
        None => Status::Waiting(WaitReason::End),
    };
    InvocationInfo::new(ended.invocation.clone(), ended.attempts, ended.before.clone(), status)
}

/// How many of a tree are named by others and are held no longer.
pub(super) fn gaps(found: &[InvocationInfo], root: Cid) -> usize {
    let held: HashSet<_> = found.iter().map(InvocationInfo::cid).collect();
    let named = found.iter().filter_map(|found| {
        let Invocation { slot, parent, .. } = &*found.invocation;
        // A synchronous call is not held before the attempt around it is settled.
        slot.map(|slot| slot.group).or(*parent)
    });
    let gaps: HashSet<_> = named.chain([root]).filter(|cid| !held.contains(cid)).collect();
    gaps.len()
}

fn is_in_stage(found: &InvocationInfo, stage: Option<StatusFilter>) -> bool {
    match stage {
        None => true,
        Some(StatusFilter::Waiting) => matches!(found.status, Status::Waiting(_)),
        Some(StatusFilter::Running) => matches!(found.status, Status::Running { .. } | Status::Open(_)),
        Some(StatusFilter::Ended) => matches!(found.status, Status::Ended { .. }),
        Some(StatusFilter::Dead) => found.is_dead(),
    }
}
