//! What deaths of the process count as, by the journal's word of which handlers had begun.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::fault::Rule;
use super::rows::Row;
use super::world::{Faults, World};
use crate::journal::Line;
use crate::script::{POISON, STURDY, STURDY_LOSSES};

/// How many deaths an invocation survives whose call does not say.
const DEFAULT: i64 = 3;

/// How often a begin may have been recorded whose handler the journal does not know: the process was killed between the
/// two.
const BETWEEN: i64 = 1;

/// What ended as `Lost`, and what was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// How many killed their process.
    pub(crate) poisons: usize,
    /// How many others there are, and how many of them had begun.
    pub(crate) innocents: usize,
    pub(crate) begun: usize,
    /// How many deaths were counted in all.
    pub(crate) deaths: i64,
    /// How many of them were counted between the record of a begin and the handler.
    pub(crate) between: i64,
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { poisons, innocents, begun, deaths, between } = self;
        write!(
            f,
            "{} lost: {poisons} that killed their process, {innocents} others, {begun} of which had begun; {deaths} deaths \
             counted, {between} of them between the record of a begin and the handler",
            poisons + innocents
        )
    }
}

/// How many deaths end it as `Lost`.
pub(super) fn limit(row: &Row) -> i64 {
    let of_service = if row.service == STURDY { STURDY_LOSSES } else { DEFAULT };
    row.options["max_losses"].as_i64().unwrap_or(of_service)
}

impl World<'_> {
    /// In how many lives a handler of each began.
    fn lives_begun(&self) -> HashMap<&str, i64> {
        let (mut lives, mut in_this_life) = (HashMap::new(), HashSet::new());
        for line in self.lines {
            match line {
                Line::Begins { .. } => in_this_life.clear(),
                Line::Began { cid, .. } if in_this_life.insert(&**cid) => {
                    *lives.entry(&**cid).or_default() += 1;
                }
                _ => {}
            }
        }
        lives
    }

    /// The first death may count for what had been handed out. After that only one counts in a life in which the handler
    /// began. What may die more than once and is lost has begun.
    pub(super) fn check_losses(&self, faults: &mut Faults) {
        let lives = self.lives_begun();
        for row in &self.rows {
            let begun = lives.get(&*row.cid).copied().unwrap_or_default();
            let (losses, name) = (row.losses, row.name());
            faults.must(Rule::Losses, losses <= 1 + begun + BETWEEN, || {
                format!("{losses} losses are counted, and its handler began in {begun} lives: {name}")
            });
            let is_lost = row.outcome() == "Lost" && !row.is_group();
            faults.must(Rule::Losses, !is_lost || begun > 0 || limit(row) == 1, || {
                format!("it is lost after {losses} losses, and has never begun: {name}")
            });
        }
    }

    /// What ended as `Lost`, and what was counted.
    pub(super) fn losses(&self) -> Losses {
        let lives = self.lives_begun();
        let mut all = Losses::default();
        for row in &self.rows {
            let begun = lives.get(&*row.cid).copied().unwrap_or_default();
            all.deaths += row.losses;
            all.between += (row.losses - 1 - begun).max(0);
            match row.service.as_str() {
                _ if row.outcome() != "Lost" || row.is_group() => {}
                POISON => all.poisons += 1,
                _ => {
                    all.innocents += 1;
                    all.begun += usize::from(begun > 0);
                }
            }
        }
        all
    }
}
