//! Links entries to their parents, and walks trees.

use zato_core::{Cid, Invocation};

use super::entry::Entry;
use super::place::Place;
use super::state::State;
use super::store::{EndedRecord, Store};
use super::table::Node;

/// One that is below another.
#[derive(Debug)]
pub(in crate::engine) enum TreeNode<'a> {
    Held(&'a Entry),
    Kept(EndedRecord),
    /// It is forgotten.
    Gap,
}

impl TreeNode<'_> {
    pub(in crate::engine) fn invocation(&self) -> Option<&Invocation> {
        match self {
            Self::Held(held) => Some(held.invocation()),
            Self::Kept(past) => Some(&past.ended.invocation),
            Self::Gap => None,
        }
    }
}

impl<S: Store> State<S> {
    /// What an invocation stands below: its group, the attempt around its synchronous caller, or its parent. What runs a
    /// dead letter again stands where that stood, and below it only where that is a root.
    pub(in crate::engine) fn above(&self, invocation: &Invocation) -> Option<Cid> {
        let hidden = || {
            if self.hidden.is_empty() { None } else { self.hidden.get(&invocation.cid).copied() }
        };
        invocation.slot.map(|slot| slot.group).or_else(hidden).or(invocation.parent).or(invocation.again_of())
    }

    /// Links an entry below what it comes from, where that is not written down. `near` is where its parent was: a place
    /// may have been freed and taken by another entry since, where few that have ended are kept.
    #[inline]
    pub(in crate::engine) fn link(&mut self, place: Place, above: Option<Cid>, near: Option<(Cid, Place)>) {
        if let Some(above) = above.filter(|_| !S::WRITES_DOWN) {
            let above = match near {
                Some((cid, place)) if cid == above && self.held.is_at(place, cid) => place,
                _ => self.held.place_of(above),
            };
            self.held.link(place, above);
        }
    }

    /// One that is held or kept, or a gap.
    fn below_of<'a>(&'a self, node: &'a Node) -> TreeNode<'a> {
        match node {
            Node::Held(held) => TreeNode::Held(held),
            Node::Kept(number) => self.store.kept(*number).map_or(TreeNode::Gap, TreeNode::Kept),
            Node::Gap { .. } | Node::Free(_) => TreeNode::Gap,
        }
    }

    /// One that is held or kept.
    pub(in crate::engine) fn remembered(&self, cid: Cid) -> TreeNode<'_> {
        self.held
            .place(&cid)
            .and_then(|place| self.held.at(place))
            .map_or(TreeNode::Gap, |node| self.below_of(node))
    }

    /// Walks everything below an invocation that is of the tree with this root; with what runs a root again, or without.
    pub(in crate::engine) fn walk<'a>(
        &'a self,
        from: Cid,
        root: Cid,
        with_reruns: bool,
        mut see: impl FnMut(TreeNode<'a>),
    ) {
        let mut next: Vec<_> = self.held.place(&from).map(|place| (place, from)).into_iter().collect();
        while let Some((place, above)) = next.pop() {
            for (child, node) in self.held.below(place) {
                let below = self.below_of(node);
                let cid = match (below.invocation(), node) {
                    (Some(invocation), _) if !with_reruns && invocation.again_of() == Some(above) => continue,
                    (Some(invocation), _) if invocation.root == root => invocation.cid,
                    (None, Node::Gap { cid, ran_again }) if with_reruns || !ran_again => *cid,
                    _ => continue,
                };
                see(below);
                next.push((child, cid));
            }
        }
    }
}
