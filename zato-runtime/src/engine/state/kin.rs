//! Who comes from whom, so that a tree is walked and not searched for.

use std::collections::HashMap;

use smallvec::SmallVec;
use zato_core::{Cid, Invocation};

use super::held::Held;
use super::kept::Kept;
use super::state::State;
use super::store::Store;

/// What is below each invocation that has something below it.
#[derive(Debug, Default)]
pub(in crate::engine) struct Kin {
    families: HashMap<Cid, Family, foldhash::fast::RandomState>,
    /// What would have been forgotten if that above it had ended, by that.
    put_off: HashMap<Cid, Vec<Cid>, foldhash::fast::RandomState>,
}

#[derive(Debug, Default)]
struct Family {
    /// In the order in which they came. While that above them is held, those that are forgotten stay, as gaps.
    children: SmallVec<[Cid; 1]>,
    /// What is above the one whose family it is, once that is forgotten.
    above: Option<Cid>,
}

/// One that is below another.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) enum Below<'a> {
    Held(&'a Held),
    Kept(&'a Kept),
    /// It is forgotten.
    Gap,
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

    /// Notes what an invocation that is now held comes from.
    pub(in crate::engine) fn link(&mut self, invocation: &Invocation) {
        if !S::WRITES_DOWN
            && let Some(above) = self.above(invocation)
        {
            self.add_child(above, invocation.cid);
        }
    }

    fn add_child(&mut self, above: Cid, child: Cid) {
        if let Some(family) = self.kin.families.get_mut(&above) {
            family.children.push(child);
        } else if !self.held.contains_key(&above)
            && let Some(kept) = self.store.kept_mut(above)
        {
            kept.children.push(child);
        } else {
            let children = SmallVec::from_buf([child]);
            self.kin.families.insert(above, Family { children, above: None });
        }
    }

    /// What is below one that is kept from now on, which goes with it.
    pub(in crate::engine) fn children_of_kept(&mut self, cid: Cid) -> SmallVec<[Cid; 1]> {
        self.kin.families.remove(&cid).unwrap_or_default().children
    }

    /// Those are below one that is not kept any more.
    pub(in crate::engine) fn hold_children(&mut self, cid: Cid, children: SmallVec<[Cid; 1]>) {
        if !children.is_empty() {
            self.kin.families.insert(cid, Family { children, above: None });
        }
    }

    /// Whether one is held, or kept.
    fn is_remembered(&self, cid: Cid) -> bool {
        self.held.contains_key(&cid) || self.store.kept(cid).is_some()
    }

    /// What one that has ended must wait for before it may be forgotten: that above it has not ended, and may ask for
    /// it, or be cancelled with what is below it. Answers whether it waits.
    pub(in crate::engine) fn put_off(&mut self, cid: Cid, above: Option<Cid>) -> bool {
        let Some(above) = above else { return false };
        let is_open = self.held.get(&above).is_some_and(|held| !held.has_ended());
        if is_open {
            self.kin.put_off.entry(above).or_default().push(cid);
        }
        is_open
    }

    /// Those that waited for this one to end.
    pub(in crate::engine) fn no_longer_put_off(&mut self, cid: Cid) -> Vec<Cid> {
        if self.kin.put_off.is_empty() {
            Vec::new()
        } else {
            self.kin.put_off.remove(&cid).unwrap_or_default()
        }
    }

    /// One is no longer held: neither are the families that were there for it alone.
    pub(in crate::engine) fn unlink(&mut self, forgotten: Cid, above: Option<Cid>) {
        if S::WRITES_DOWN {
            return;
        }
        if let Some(family) = self.kin.families.get_mut(&forgotten) {
            family.above = above;
            // Nearly always the last of them is there still.
            let last = family.children.last().copied();
            if !last.is_some_and(|last| self.is_remembered(last)) {
                self.prune(forgotten);
            }
        }
        let mut next = above;
        while let Some(cid) =
            next.filter(|cid| self.kin.families.contains_key(cid) && !self.is_remembered(*cid))
        {
            next = self.prune(cid);
        }
    }

    /// Drops a family of which nothing is left; answers with what is above it then.
    fn prune(&mut self, cid: Cid) -> Option<Cid> {
        let family = self.kin.families.get(&cid)?;
        let is_there = |child: &Cid| self.kin.families.contains_key(child) || self.is_remembered(*child);
        let left = family.children.iter().rposition(is_there).map_or(0, |last| last + 1);
        if left == 0 {
            return self.kin.families.remove(&cid)?.above;
        }
        if left < family.children.len() {
            self.kin.families.get_mut(&cid)?.children.truncate(left);
        }
        None
    }

    /// Walks everything below an invocation that is of the tree with this root; with what runs a root again, or without.
    pub(in crate::engine) fn walk<'a>(
        &'a self,
        from: Cid,
        root: Cid,
        with_reruns: bool,
        mut see: impl FnMut(Below<'a>),
    ) {
        let mut next = vec![from];
        while let Some(above) = next.pop() {
            let family = self.kin.families.get(&above).map(|family| &family.children);
            let kept = || self.store.kept(above).map(|kept| &kept.children);
            for child in family.or_else(kept).into_iter().flatten() {
                let below = match (self.held.get(child), self.store.kept(*child)) {
                    (Some(held), _) => Some((&**held.invocation(), Below::Held(held))),
                    (None, Some(kept)) => Some((&kept.invocation, Below::Kept(kept))),
                    (None, None) => None,
                };
                match below {
                    Some((invocation, _)) if !with_reruns && invocation.again_of() == Some(above) => continue,
                    Some((invocation, below)) if invocation.root == root => see(below),
                    Some(_) => continue,
                    None => see(Below::Gap),
                }
                next.push(*child);
            }
        }
    }
}
