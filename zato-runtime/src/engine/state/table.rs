//! The table of all entries: found by CID, and linked to their parents and children.

use std::collections::hash_map::Entry as AtCid;

use zato_core::Cid;

use super::entry::{Entry, Waiting};
use super::place::{KeptId, NOWHERE, Place, Ticket};
use crate::base::cid::CidMap;

/// Who stands in a place.
#[derive(Debug)]
pub(in crate::engine) enum Node {
    Held(Entry),
    /// It has ended, and is kept under this number.
    Kept(KeptId),
    /// It is not held, and something below it is. It may have run again what it stands below.
    Gap {
        cid: Cid,
        ran_again: bool,
    },
    /// Nobody; the next that is free.
    Free(Place),
}

/// A node and its links. It is no larger than a line of the cache.
#[derive(Debug)]
struct Linked {
    node: Node,
    /// What is above it, the first and the last below it, and those beside it.
    above: Place,
    first: Place,
    last: Place,
    before: Place,
    after: Place,
}

impl Linked {
    fn new(node: Node) -> Self {
        let [above, first, last, before, after] = [NOWHERE; 5];
        Self { node, above, first, last, before, after }
    }
}

/// All that is held or kept.
#[derive(Debug)]
pub(in crate::engine) struct Table {
    places: CidMap<Place>,
    entries: Vec<Linked>,
    free: Place,
    /// How many are held.
    held: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { places: CidMap::default(), entries: Vec::new(), free: NOWHERE, held: 0 }
    }
}

impl Table {
    fn entry(&self, place: Place) -> Option<&Linked> {
        self.entries.get(place.0 as usize)
    }

    fn entry_mut(&mut self, place: Place) -> Option<&mut Linked> {
        self.entries.get_mut(place.0 as usize)
    }

    pub(in crate::engine) fn place(&self, cid: &Cid) -> Option<Place> {
        self.places.get(cid).copied()
    }

    pub(in crate::engine) fn at(&self, place: Place) -> Option<&Node> {
        self.entry(place).map(|entry| &entry.node)
    }

    /// What waits there under this number.
    #[inline]
    pub(in crate::engine) fn waiting(&self, place: Place, number: u64) -> Option<&Waiting> {
        match self.at(place)? {
            Node::Held(Entry::Waiting(waiting)) if waiting.number == number => Some(waiting),
            _ => None,
        }
    }

    /// Whether a ticket is not void: its invocation still waits under its number.
    #[inline]
    pub(in crate::engine) fn waits_under(&self, ticket: &Ticket) -> bool {
        self.waiting(ticket.place, ticket.number).is_some()
    }

    #[inline]
    pub(in crate::engine) fn held_mut(&mut self, place: Place) -> Option<&mut Entry> {
        match &mut self.entry_mut(place)?.node {
            Node::Held(held) => Some(held),
            _ => None,
        }
    }

    /// One that is held.
    #[inline]
    pub(in crate::engine) fn get(&self, cid: &Cid) -> Option<&Entry> {
        match self.at(self.place(cid)?)? {
            Node::Held(held) => Some(held),
            _ => None,
        }
    }

    #[inline]
    pub(in crate::engine) fn get_mut(&mut self, cid: &Cid) -> Option<&mut Entry> {
        self.held_mut(self.place(cid)?)
    }

    /// The number of one that is kept.
    pub(in crate::engine) fn kept(&self, cid: &Cid) -> Option<KeptId> {
        match self.at(self.place(cid)?)? {
            Node::Kept(number) => Some(*number),
            _ => None,
        }
    }

    pub(in crate::engine) fn is_held(&self, cid: &Cid) -> bool {
        self.get(cid).is_some()
    }

    pub(in crate::engine) fn all_held(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter_map(|entry| match &entry.node {
            Node::Held(held) => Some(held),
            _ => None,
        })
    }

    /// Has room for so many more, which come at once.
    pub(in crate::engine) fn reserve(&mut self, more: usize) {
        self.places.reserve(more);
        self.entries.reserve((self.places.len() + more).saturating_sub(self.entries.len()));
    }

    /// How many are held.
    pub(in crate::engine) fn len(&self) -> usize {
        self.held
    }

    /// Holds one from now on, or as it stands now.
    #[inline]
    pub(in crate::engine) fn insert(&mut self, cid: Cid, held: Entry) -> Place {
        let place = self.place_of(cid);
        self.put(place, Node::Held(held));
        place
    }

    /// Puts another node where one stands.
    #[inline]
    pub(in crate::engine) fn put(&mut self, place: Place, node: Node) {
        let Some(entry) = self.entries.get_mut(place.0 as usize) else { return };
        self.held -= usize::from(matches!(entry.node, Node::Held(_)));
        self.held += usize::from(matches!(node, Node::Held(_)));
        entry.node = node;
    }

    /// Where one stands, or will: as a gap, if it is new.
    #[inline]
    pub(in crate::engine) fn place_of(&mut self, cid: Cid) -> Place {
        let vacant = match self.places.entry(cid) {
            AtCid::Occupied(occupied) => return *occupied.get(),
            AtCid::Vacant(vacant) => vacant,
        };
        let (place, entry) = (self.free, Linked::new(Node::Gap { cid, ran_again: false }));
        if let Some(free) = self.entries.get_mut(place.0 as usize) {
            if let Node::Free(next) = free.node {
                self.free = next;
            }
            *free = entry;
            return *vacant.insert(place);
        }
        let place = Place(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.entries.push(entry);
        *vacant.insert(place)
    }

    /// Has one stand below another, after those that do.
    #[inline]
    pub(in crate::engine) fn link(&mut self, child: Place, above: Place) {
        debug_assert!(self.above(child).is_none(), "it is linked once");
        debug_assert_ne!(child, above, "nothing is below itself");
        let last = self.entry_mut(above).map(|entry| std::mem::replace(&mut entry.last, child));
        let last = last.unwrap_or(NOWHERE);
        match self.entry_mut(last) {
            Some(last) => last.after = child,
            None => self.entries[above.0 as usize].first = child,
        }
        let entry = &mut self.entries[child.0 as usize];
        (entry.above, entry.before) = (above, last);
    }

    /// Forgets one. It stays as a gap while something stands below it, and so do those above it that are forgotten.
    pub(in crate::engine) fn forget(&mut self, cid: Cid) -> Option<Entry> {
        let place = self.place(&cid)?;
        let entry = &mut self.entries[place.0 as usize];
        let ran_again =
            matches!(&entry.node, Node::Held(held) if held.invocation().stands_below_what_it_runs_again());
        let node = std::mem::replace(&mut entry.node, Node::Gap { cid, ran_again });
        self.held -= usize::from(matches!(node, Node::Held(_)));
        self.close(place);
        match node {
            Node::Held(held) => Some(held),
            _ => None,
        }
    }

    /// Frees a gap that has nothing below it, and those above it that had nothing else.
    #[inline]
    pub(in crate::engine) fn close(&mut self, gap: Place) {
        let mut next = gap;
        while let Some(Linked { node: Node::Gap { cid, .. }, first: NOWHERE, above, before, after, .. }) =
            self.entry(next)
        {
            let (cid, above, before, after) = (*cid, *above, *before, *after);
            match self.entry_mut(before) {
                Some(before) => before.after = after,
                None => self.entry_mut(above).into_iter().for_each(|above| above.first = after),
            }
            match self.entry_mut(after) {
                Some(after) => after.before = before,
                None => self.entry_mut(above).into_iter().for_each(|above| above.last = before),
            }
            self.places.remove(&cid);
            self.entries[next.0 as usize].node = Node::Free(self.free);
            self.free = next;
            next = above;
        }
    }

    /// Tells whether an invocation that has not ended, or the gap it has left, is at a place. What is kept is not looked
    /// at here: its CID is in the store.
    pub(in crate::engine) fn is_at(&self, place: Place, cid: Cid) -> bool {
        match self.at(place) {
            Some(Node::Held(held)) => held.invocation().cid == cid,
            Some(Node::Gap { cid: gap, .. }) => *gap == cid,
            _ => false,
        }
    }

    /// What it stands below.
    pub(in crate::engine) fn above(&self, place: Place) -> Option<&Node> {
        self.at(self.entry(place)?.above)
    }

    /// What stands below it, in the order in which it came.
    pub(in crate::engine) fn below(&self, place: Place) -> impl Iterator<Item = (Place, &Node)> {
        let mut next = self.entry(place).map_or(NOWHERE, |entry| entry.first);
        std::iter::from_fn(move || {
            let (place, entry) = (next, self.entry(next)?);
            next = entry.after;
            Some((place, &entry.node))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use zato_core::{Channel, Invocation, Payload, ServiceName};

    use super::*;

    fn cid(number: u32) -> Cid {
        format!("00000000-0000-7000-8000-{number:012x}").parse().expect("it is a CID")
    }

    fn open(number: u32) -> Entry {
        let (service, payload) = (ServiceName::linked("a"), Payload::empty());
        Entry::Open(Arc::new(Invocation::root(cid(number), service, payload, Channel::InvokeAsync)))
    }

    fn below(table: &Table, number: u32) -> Vec<String> {
        let Some(place) = table.place(&cid(number)) else { return Vec::new() };
        let name = |node: &Node| match node {
            Node::Held(held) => format!("held {}", &held.invocation().cid.to_string()[35..]),
            Node::Kept(_) => "kept".to_owned(),
            Node::Gap { cid, .. } => format!("gap {}", &cid.to_string()[35..]),
            Node::Free(_) => "free".to_owned(),
        };
        table.below(place).map(|(_, node)| name(node)).collect()
    }

    #[test]
    fn an_entry_is_no_larger_than_a_line_of_the_cache() {
        assert!(size_of::<Linked>() <= 64, "{} bytes", size_of::<Linked>());
    }

    #[test]
    fn a_gap_stays_while_something_is_below_it() {
        let mut table = Table::default();
        // 3 comes before 2, which is above it.
        for (number, above) in
            [(3, Some(2)), (1, None), (2, Some(1)), (4, Some(2)), (5, Some(1)), (6, Some(2))]
        {
            let place = table.insert(cid(number), open(number));
            if let Some(above) = above {
                let above = table.place_of(cid(above));
                table.link(place, above);
            }
        }
        assert_eq!((below(&table, 1), table.len()), (vec!["held 2".to_owned(), "held 5".to_owned()], 6));
        assert_eq!(below(&table, 2), ["held 3", "held 4", "held 6"]);
        assert!(table.forget(cid(2)).is_some());
        assert!(table.forget(cid(2)).is_none() && !table.is_held(&cid(2)));
        assert_eq!((below(&table, 1), table.len()), (vec!["gap 2".to_owned(), "held 5".to_owned()], 5));
        assert!(table.forget(cid(4)).is_some());
        assert_eq!(below(&table, 2), ["held 3", "held 6"]);
        assert!(table.forget(cid(6)).is_some() && table.forget(cid(1)).is_some());
        assert!(table.forget(cid(3)).is_some());
        assert_eq!(below(&table, 1), ["held 5"], "the gap above what was forgotten is gone");
        assert!(table.forget(cid(5)).is_some());
        assert_eq!((table.len(), table.places.len()), (0, 0));
        let places = table.entries.len();
        for number in 1..=6 {
            table.insert(cid(number), open(number));
        }
        assert_eq!((table.len(), table.entries.len()), (6, places), "places are taken again");
    }

    #[test]
    fn what_is_kept_is_not_held_and_stays_where_it_stands() {
        let mut table = Table::default();
        let child = table.insert(cid(2), open(2));
        let above = table.place_of(cid(1));
        table.link(child, above);
        let place = table.insert(cid(1), open(1));
        assert_eq!(table.place_of(cid(1)), place);
        table.put(place, Node::Kept(KeptId::new(7, true)));
        assert_eq!((table.kept(&cid(1)), table.len()), (Some(KeptId::new(7, true)), 1));
        assert!(matches!(table.above(child), Some(Node::Kept(_))));
        assert!(table.forget(cid(1)).is_none());
        assert!(matches!(table.above(child), Some(Node::Gap { cid: gap, .. }) if *gap == cid(1)));
    }
}
