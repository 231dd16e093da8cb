//! When a shutdown returns.

use crate::model::facts::{Checked, Facts, Node, SLOP, is_cut, must};

impl Facts {
    /// It returns as soon as nothing is left that it waits for; at its limit only if something is.
    pub(super) fn check_shutdown(&self) -> Checked {
        let (Some((began, _)), Some(stopped)) = (self.shutdown, self.stopped) else {
            return Err("it does not end".to_owned());
        };
        let is_left = |node: &&Node| node.remembered.as_ref().is_some_and(is_cut) && !self.is_held_back(node);
        let left = self.nodes.values().find(is_left);
        let ends = self.nodes.values().filter_map(|node| {
            let (when, outcome) = node.ended.first()?;
            let left = node.runs.iter().filter_map(|run| run.left).map(|(left, _)| left.at).max();
            let is_end = !outcome.as_ref().is_some_and(is_cut);
            left.max(Some(when.at).filter(|_| is_end))
        });
        // Who pauses a service has what waits of it left behind.
        let pauses = self.pauses.values().flatten().map(|(from, _)| from.at);
        let last = ends.chain(pauses).max().unwrap_or_default().max(began.at);
        if self.cut.is_some() {
            // What waits at the limit may have been seen by nobody.
            let unseen = |cid| !self.nodes.contains_key(cid);
            let is_reason = left.is_some() || self.letters.keys().any(unseen);
            return must(is_reason || stopped.at <= last + SLOP, || {
                "it waited to its limit for nothing".to_owned()
            });
        }
        must(left.is_none(), || format!("it has left {left:#?}"))?;
        must(stopped.at <= last + SLOP, || format!("it waited for nothing from {last} on"))
    }
}
