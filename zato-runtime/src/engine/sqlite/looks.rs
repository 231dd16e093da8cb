//! Look-ups: what lives is in the state, what has ended in the file or on its way there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;
use zato_core::bus::Step;
use zato_core::{Cid, Invocation};

use super::columns::Stored;
use super::engine::{Inner, Sqlite};
use super::{lookups, trees};
use crate::engine::contract::{LookUps, StoreFault};
use crate::found::{Filter, Found, Stage, Status, Tree};
use crate::record::Batch;

impl LookUps for Sqlite {
    fn find(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<Option<Found>>, StoreFault>> {
        let found = self.0.change(true, move |state| batch.into_iter().map(|cid| state.find(cid)).collect());
        Step::later(async move { found.await? })
    }

    fn tree(&self, root: Cid) -> Step<'_, Result<Tree, StoreFault>> {
        Step::later(async move {
            let found = self.0.read(move |reader| trees::tree(reader, root)).await?;
            let swept = gaps(&found, root);
            Ok(Tree { found, swept })
        })
    }

    fn list(&self, filter: &Filter) -> Step<'_, Result<Vec<Found>, StoreFault>> {
        let filter = filter.clone();
        Step::later(async move {
            let asked = filter.clone();
            let mut found = self.0.read(move |reader| lookups::list(reader, &asked)).await?;
            found.retain(|found| is_in_stage(found, filter.stage));
            Ok(found)
        })
    }
}

impl Inner {
    /// Reads rows once all that was changed before is in the file, and shows each as it stands.
    pub(super) async fn read(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<Vec<Stored>> + Send + 'static,
    ) -> Result<Vec<Found>, StoreFault> {
        self.change(true, |_| ()).await?;
        let inner = self.clone();
        let rows = self.tokio.spawn_blocking(move || inner.reader.read(read)).await;
        let rows = rows.map_err(|_| self.closed())??;
        let guarded = self.guarded();
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let cid = row.invocation().cid;
            match (row, guarded.state.held.get(&cid)) {
                (_, Some(held)) => found.push(guarded.state.found(held)),
                (Stored::Ended(row), None) => {
                    let (attempts, before) = (row.ended.attempts, row.ended.before.clone());
                    let status = Status::Ended { ended: row.ended.clone(), again: row.again };
                    found.push(Found::new(row.ended.invocation.clone(), attempts, before, status));
                }
                // It has ended since, or been swept.
                (Stored::Live(_), None) => found.extend(guarded.state.find(cid)?),
            }
        }
        Ok(found)
    }

    /// Everything of the tree below an invocation that has not ended.
    pub(super) async fn below(self: &Arc<Self>, cid: Cid) -> Result<Vec<Cid>, StoreFault> {
        let found = self.change(true, move |state| state.find(cid)).await??;
        let Some(root) = found.map(|found| found.invocation.root) else { return Ok(Vec::new()) };
        let tree = self.read(move |reader| trees::tree(reader, root)).await?;
        let hidden = self.guarded().state.hidden.clone();
        let mut children: HashMap<Cid, Vec<&Found>> = HashMap::new();
        for found in &tree {
            if let Some(above) = above(&found.invocation, &hidden) {
                children.entry(above).or_default().push(found);
            }
        }
        let (mut below, mut next) = (Vec::new(), vec![cid]);
        while let Some(parent) = next.pop() {
            for child in children.remove(&parent).unwrap_or_default() {
                next.push(child.cid());
                if child.outcome().is_none() {
                    below.push(child.cid());
                }
            }
        }
        Ok(below)
    }
}

/// What an invocation stands below: its group, the attempt around its synchronous caller, or its parent.
fn above(invocation: &Invocation, hidden: &HashMap<Cid, Cid>) -> Option<Cid> {
    let hidden = || hidden.get(&invocation.cid).copied();
    invocation.slot.map(|slot| slot.group).or_else(hidden).or(invocation.parent)
}

/// How many of a tree are named by others and are held no longer.
pub(super) fn gaps(found: &[Found], root: Cid) -> usize {
    let held: HashSet<_> = found.iter().map(Found::cid).collect();
    let named = found.iter().filter_map(|found| {
        let Invocation { slot, parent, .. } = &*found.invocation;
        // A synchronous call is not held before the attempt around it is settled.
        slot.map(|slot| slot.group).or(*parent)
    });
    let gaps: HashSet<_> = named.chain([root]).filter(|cid| !held.contains(cid)).collect();
    gaps.len()
}

fn is_in_stage(found: &Found, stage: Option<Stage>) -> bool {
    match stage {
        None => true,
        Some(Stage::Waiting) => matches!(found.status, Status::Waiting(_)),
        Some(Stage::Running) => matches!(found.status, Status::Running { .. } | Status::Open(_)),
        Some(Stage::Ended) => matches!(found.status, Status::Ended { .. }),
        Some(Stage::Dead) => found.is_dead(),
    }
}
