//! Journal and file, side by side.

use std::collections::{HashMap, HashSet};

use super::fault::{Fault, Rule};
use super::rows::{CHAIN, INSIDE, Row};
use crate::journal::{Asked, Line};

/// Who asked (none from outside), and the ID of what was asked for.
pub(super) type Made = (Option<String>, String);

/// All that is known.
pub(super) struct World<'a> {
    /// In accept order.
    pub(super) rows: Vec<Row>,
    pub(super) lines: &'a [Line],
    /// Where each CID stands in `rows`.
    at: HashMap<String, usize>,
    /// What has this parent.
    children: HashMap<String, Vec<usize>>,
    /// Members of groups, and steps of chains.
    members: HashMap<String, Vec<usize>>,
    /// What was asked for.
    pub(super) asked: HashMap<Made, Vec<Asked>>,
    /// Who asked for synchronous calls with this ID.
    pub(super) inside: HashMap<String, Vec<String>>,
    /// The roots of the trees in which something was cancelled.
    pub(super) cancelled: HashSet<String>,
    /// What was refused a call.
    pub(super) refused: HashSet<String>,
    /// What was to be run again.
    pub(super) runs_again: HashSet<String>,
    /// Synchronous calls that ran and have no row: they went with their process, or with the attempt around them.
    pub(super) gone: HashSet<String>,
}

impl<'a> World<'a> {
    pub(super) fn new(rows: Vec<Row>, lines: &'a [Line]) -> Self {
        let (mut at, mut children) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        let (mut members, mut asked) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        let mut inside = HashMap::<_, Vec<_>>::new();
        let (mut cancelled, mut refused, mut runs_again) = (HashSet::new(), HashSet::new(), HashSet::new());
        let mut gone = HashSet::new();
        for (index, row) in rows.iter().enumerate() {
            at.insert(row.cid.clone(), index);
            if let Some(parent) = &row.parent {
                children.entry(parent.clone()).or_default().push(index);
            }
            if let Some((group, _)) = &row.slot {
                members.entry(group.clone()).or_default().push(index);
            }
        }
        for line in lines {
            match line {
                Line::Asks(ask) => {
                    asked.entry((ask.by.clone(), ask.id.clone())).or_default().push(ask.clone());
                }
                Line::AsksInside { id, by, .. } => inside.entry(id.clone()).or_default().push(by.clone()),
                Line::Cancels { cid, .. } => {
                    let root = at.get(cid).map(|index| rows[*index].root.clone());
                    cancelled.extend(root);
                }
                Line::RunsAgain { cid } => drop(runs_again.insert(cid.clone())),
                Line::Refused { by: Some(by), .. } => drop(refused.insert(by.clone())),
                Line::Began { cid, is_inside: true, .. } if !at.contains_key(cid) => {
                    gone.insert(cid.clone());
                }
                _ => {}
            }
        }
        Self { rows, lines, at, children, members, asked, inside, cancelled, refused, runs_again, gone }
    }

    pub(super) fn find(&self, cid: &str) -> Option<&Row> {
        self.at.get(cid).map(|index| &self.rows[*index])
    }

    pub(super) fn children(&self, cid: &str) -> impl Iterator<Item = &Row> {
        self.children.get(cid).into_iter().flatten().map(|index| &self.rows[*index])
    }

    /// The members of a group, or the steps of a chain, in accept order.
    pub(super) fn members(&self, group: &str) -> impl Iterator<Item = &Row> {
        self.members.get(group).into_iter().flatten().map(|index| &self.rows[*index])
    }

    /// The invocation whose attempt made this: what was made inside a synchronous call was made by what that runs in.
    pub(super) fn made_by(&self, row: &Row) -> Option<String> {
        let mut by = row.hidden_by.as_ref().or(row.parent.as_ref());
        while let Some(row) = by.and_then(|cid| self.find(cid))
            && row.channel == INSIDE
            && row.parent.is_some()
        {
            by = row.hidden_by.as_ref().or(row.parent.as_ref());
        }
        by.cloned()
    }

    /// What it was asked for as.
    pub(super) fn made(&self, row: &Row) -> Option<Made> {
        let id = if row.is_group() && row.channel != CHAIN {
            let first =
                self.members(&row.cid).find(|member| member.slot.as_ref().is_some_and(|slot| slot.1 == 0))?;
            first.id()?.strip_suffix(".0")?.to_owned()
        } else {
            row.id()?
        };
        Some((self.made_by(row), id))
    }

    /// What was asked for, if this was. All that ask for the same ask for it alike.
    pub(super) fn asked(&self, row: &Row) -> Option<&Asked> {
        self.asked.get(&self.made(row)?)?.first()
    }
}

/// Gathers faults.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// This must be so.
    pub(super) fn must(&mut self, rule: Rule, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Fault::new(rule, text()));
        }
    }
}
