//! What a shutdown interrupts, and what it gives up.

use super::node::{Attempt, Kind, Node, When};
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
        let is_held_back =
            self.is_interrupted(node) || self.parts(node).any(|part| self.is_interrupted(part));
        self.cut.or(self.stopped.filter(|_| is_held_back))
    }

    /// The members of a group, or the steps of a chain, that are known.
    pub(crate) fn parts<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        let of = |token: &u64| self.cid_of.get(token);
        let members = node.members.iter().filter(|_| node.kind == Kind::Group).filter_map(of);
        members.chain(&node.steps).filter_map(|cid| self.nodes.get(cid))
    }
}
