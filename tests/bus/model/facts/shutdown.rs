//! What a shutdown interrupts, and what it gives up.

use super::node::{Attempt, Node, When};
use super::read::Facts;
use crate::model::script::End;

impl Facts {
    /// Whether a shutdown interrupted the last attempt of an invocation: it was told, and failed then.
    pub(crate) fn is_interrupted(&self, node: &Node) -> bool {
        node.runs.last().is_some_and(|run| self.interrupts(run))
    }

    pub(crate) fn interrupts(&self, run: &Attempt) -> bool {
        let failed = matches!(run.left, Some((_, Some(End::Fail | End::RetryAfter(_)))));
        let began = self.shutdown.map(|(began, _)| began);
        failed && began.is_some_and(|began| run.told.is_some_and(|told| told.seq > began.seq))
    }

    /// When a shutdown gave up an invocation, if it may have: because its limit was reached, or because it had
    /// interrupted it.
    pub(crate) fn cut_of(&self, node: &Node) -> Option<When> {
        let of = |token: &u64| self.cid_of.get(token).and_then(|cid| self.nodes.get(cid));
        let mut members = node.members.iter().filter_map(of);
        let is_held_back = self.is_interrupted(node) || members.any(|member| self.is_interrupted(member));
        self.cut.or(self.stopped.filter(|_| is_held_back))
    }
}
