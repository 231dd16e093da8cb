//! A causal tree as indented lines: each invocation below the one that it comes from.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use zato_core::{Channel, Cid, Outcome};

use super::status::{StatusWriter, role};
use crate::base::format::{count, grouped};
use crate::record::lookup::{InvocationInfo, Status, Tree};

/// The largest number of children of one invocation that are shown; the rest are counted.
const MAX_CHILDREN: usize = 12;

/// The largest number of completed children that are shown where there are more than [`MAX_CHILDREN`].
const MAX_COMPLETED: usize = 3;

/// The largest number of invocations that are shown below the one that was asked for.
const MAX_SHOWN: usize = 120;

/// The largest number of invocations above the one that was asked for that are shown.
const MAX_ABOVE: usize = 12;

/// The number of levels that are shown below the one that was asked for.
const MAX_DEPTH: usize = 24;

/// How much of a tree is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The way from the root to the invocation that was asked for, and what is below that; the rest is counted.
    Around,
    /// All of it.
    Whole,
}

/// A tree with its edges, about to be written.
pub(crate) struct Outline<'a> {
    teller: &'a StatusWriter<'a>,
    asked: Cid,
    extent: Extent,
    children: HashMap<Option<Cid>, Vec<&'a InvocationInfo>>,
    /// The CIDs from the root to the one that was asked for, both included.
    path: Vec<Cid>,
    /// Those of `path` that are above the one that was asked for.
    ancestors: HashSet<Cid>,
    /// The number of invocations that may still be shown below the one that was asked for.
    left: usize,
}

/// A line that is about to be written.
enum Item<'a> {
    Node {
        found: &'a InvocationInfo,
        indent: String,
        branch: &'static str,
        trunk: &'static str,
        depth: usize,
    },
    Text(String),
}

impl<'a> Outline<'a> {
    /// The tree around one of its invocations. An invocation whose cause is no longer held is a root.
    pub(crate) fn new(
        tree: &'a Tree,
        asked: &InvocationInfo,
        extent: Extent,
        teller: &'a StatusWriter<'a>,
    ) -> Self {
        let by_cid: HashMap<Cid, &InvocationInfo> =
            tree.found.iter().map(|found| (found.cid(), found)).collect();
        let mut children: HashMap<Option<Cid>, Vec<&InvocationInfo>> = HashMap::new();
        for found in &tree.found {
            let cause = cause(found).filter(|cause| by_cid.contains_key(cause));
            children.entry(cause).or_default().push(found);
        }
        let mut path = vec![asked.cid()];
        let mut next = cause(asked);
        while let Some(found) = next.and_then(|cid| by_cid.get(&cid)) {
            path.push(found.cid());
            next = cause(found);
        }
        path.reverse();
        let ancestors = path[..path.len() - 1].iter().copied().collect();
        Self { teller, asked: asked.cid(), extent, children, path, ancestors, left: MAX_SHOWN }
    }

    /// Writes the tree, a line for each invocation and its attempts.
    pub(crate) fn write(mut self, text: &mut String) {
        let mut items = Vec::new();
        let hidden = match self.extent {
            Extent::Around => self.path.len().saturating_sub(MAX_ABOVE + 1),
            Extent::Whole => 0,
        };
        if hidden == 0 {
            items.extend(self.below(None, "", 0).into_iter().rev());
        } else {
            let _ = writeln!(text, "({} above are not shown)", count(hidden, "invocation"));
            let top = self.path[hidden];
            let found = self.children.values().flatten().find(|found| found.cid() == top).copied();
            items.extend(found.map(|found| Item::Node {
                found,
                indent: String::new(),
                branch: "",
                trunk: "",
                depth: 0,
            }));
        }
        // A tree may be deeper than a thread's stack.
        while let Some(item) = items.pop() {
            match item {
                Item::Text(line) => {
                    text.push_str(&line);
                    text.push('\n');
                }
                Item::Node { found, indent, branch, trunk, depth } => {
                    let below = self.node(text, found, &indent, (branch, trunk), depth);
                    items.extend(below.into_iter().rev());
                }
            }
        }
    }

    /// Writes one invocation; returns what is below it.
    fn node(
        &mut self,
        text: &mut String,
        found: &'a InvocationInfo,
        indent: &str,
        (branch, trunk): (&str, &str),
        depth: usize,
    ) -> Vec<Item<'a>> {
        let mark = if found.cid() == self.asked { "  <== this one" } else { "" };
        let is_plain =
            found.invocation.channel == Channel::InvokeAsync && found.invocation.again_of().is_none();
        let role = if is_plain { String::new() } else { format!(" ({})", role(found)) };
        let _ = writeln!(text, "{indent}{branch}{}{role} {}{mark}", found.service(), found.cid());
        let deeper = format!("{indent}{trunk}");
        let stem = if self.children.contains_key(&Some(found.cid())) { "│ " } else { "  " };
        for line in self.teller.status(found, &format!("{deeper}{stem}")) {
            text.push_str(&line);
            text.push('\n');
        }
        // Levels are counted from the invocation that was asked for.
        let depth = if self.ancestors.contains(&found.cid()) { 0 } else { depth + 1 };
        self.below(Some(found.cid()), &deeper, depth)
    }

    /// The children of one invocation that are shown, and a line that counts the others.
    fn below(&mut self, cause: Option<Cid>, indent: &str, depth: usize) -> Vec<Item<'a>> {
        let Some(children) = self.children.get(&cause).cloned() else { return Vec::new() };
        let chosen = self.choose(cause, &children, depth);
        let (shown, hidden): (Vec<&InvocationInfo>, Vec<&InvocationInfo>) =
            children.into_iter().partition(|child| chosen.contains(&child.cid()));
        let last = shown.len().saturating_sub(1);
        let mut items: Vec<_> = shown
            .into_iter()
            .enumerate()
            .map(|(index, found)| {
                let (branch, trunk) = match cause {
                    None => ("", ""),
                    Some(_) if index == last && hidden.is_empty() => ("└─ ", "   "),
                    Some(_) => ("├─ ", "│  "),
                };
                Item::Node { found, indent: indent.to_owned(), branch, trunk, depth }
            })
            .collect();
        if !hidden.is_empty() {
            items.push(Item::Text(format!(
                "{indent}└─ and {} more: {}",
                grouped(hidden.len()),
                tally(hidden.into_iter())
            )));
        }
        items
    }

    /// Chooses which children of one invocation are shown: above the one that was asked for the way to it alone; below it
    /// what has not ended, then what has failed, then the first that completed.
    fn choose(&mut self, cause: Option<Cid>, children: &[&InvocationInfo], depth: usize) -> HashSet<Cid> {
        let all = || children.iter().map(|child| child.cid());
        if self.extent == Extent::Whole {
            return all().collect();
        }
        if cause.is_none_or(|cause| self.ancestors.contains(&cause)) {
            let way: HashSet<_> =
                all().filter(|cid| *cid == self.asked || self.ancestors.contains(cid)).collect();
            // A tree may lag behind its invocations: one that is not in it yet has no way to it.
            if !way.is_empty() {
                return way;
            }
        }
        if depth > MAX_DEPTH {
            return HashSet::new();
        }
        let rank = |found: &InvocationInfo| match &found.status {
            Status::Ended { ended, .. } if ended.outcome.is_completed() => 2,
            Status::Ended { .. } => 1,
            _ => 0,
        };
        let mut ranked: Vec<_> = children.iter().map(|child| (rank(child), child.cid())).collect();
        ranked.sort_unstable();
        if ranked.len() > MAX_CHILDREN {
            let others = ranked.partition_point(|(rank, _)| *rank < 2);
            ranked.truncate(others + MAX_COMPLETED);
        }
        ranked.truncate(MAX_CHILDREN.min(self.left));
        self.left -= ranked.len();
        ranked.into_iter().map(|(_, cid)| cid).collect()
    }
}

/// The invocation that another comes from: its group, the dead letter that it runs again, or its parent.
fn cause(found: &InvocationInfo) -> Option<Cid> {
    let invocation = &found.invocation;
    invocation.slot.map(|slot| slot.group).or(invocation.again_of()).or(invocation.parent)
}

/// The number of invocations in each state: `8,990 Completed, 10 running`.
pub(crate) fn tally<'f>(all: impl Iterator<Item = &'f InvocationInfo>) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for found in all {
        let state = match &found.status {
            Status::Waiting(_) => "waiting",
            Status::Running { .. } => "running",
            Status::Open(_) => "open",
            Status::Ended { ended, .. } => Outcome::name(&ended.outcome),
        };
        match counts.iter_mut().find(|(name, _)| *name == state) {
            Some((_, count)) => *count += 1,
            None => counts.push((state, 1)),
        }
    }
    let counts: Vec<_> =
        counts.into_iter().map(|(name, number)| format!("{} {name}", grouped(number))).collect();
    counts.join(", ")
}
