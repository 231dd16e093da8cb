//! What was acknowledged is there, and what was told is so.

use std::collections::HashSet;

use super::fault::Rule;
use super::rows::{INSIDE, Row};
use super::world::{Faults, World};
use crate::journal::Line;

impl World<'_> {
    /// Every CID that was given stands for what was asked for.
    pub(super) fn check_receipts(&self, faults: &mut Faults) {
        for line in self.lines {
            let (id, cid, by) = match line {
                Line::Got { id, by, cid } => (id, cid, Some(by)),
                Line::Taken { id, cid } => (id, cid, None),
                _ => continue,
            };
            let Some(row) = self.find(cid) else {
                faults
                    .must(Rule::Receipt, false, || format!("`{id}` was promised as {cid} and is not there"));
                continue;
            };
            let made = self.made(row);
            let is_it = made.as_ref().is_some_and(|(_, made)| made == id);
            faults.must(Rule::Receipt, is_it, || {
                format!("`{id}` was promised as {cid}, which is {}", row.name())
            });
            // Under an idempotency key it may be somebody else's.
            let is_shared = row.options["idempotency_key"].is_string();
            if let (Some(by), Some((made_by, _))) = (by, made) {
                faults.must(Rule::Receipt, *by == made_by || is_shared, || {
                    format!("`{id}` was promised to {by:?} as what {made_by:?} has made: {}", row.name())
                });
            }
        }
    }

    /// Every outcome that was told is the one that is recorded, and so is everything else that was answered.
    pub(super) fn check_told(&self, faults: &mut Faults) {
        let mut answered = Vec::new();
        for line in self.lines {
            match line {
                Line::Told { cid, outcome } => {
                    let found = self.find(cid).map(Row::outcome);
                    faults.must(Rule::Told, found == Some(outcome), || {
                        format!("{cid} was told to have ended as {outcome}, and is {found:?}")
                    });
                }
                Line::Cancelled { cid, answer } => {
                    let found = self.find(cid);
                    let outcome = found.map(Row::outcome);
                    let is_group = found.is_some_and(Row::is_group);
                    let is_so = match answer.as_str() {
                        "cancelled" => outcome == Some("Cancelled"),
                        // Its last attempt may have failed before it was told, or a worker may have found that it had
                        // expired before it began.
                        "requested" if !is_group => !matches!(outcome, None | Some("Lost")),
                        _ => found.is_some(),
                    };
                    faults.must(Rule::Told, is_so, || {
                        format!("to cancel {cid} was answered with `{answer}`, and it is {outcome:?}")
                    });
                }
                Line::RanAgain { cid, again } => {
                    let is_noted = self.find(cid).is_some_and(|row| row.again.as_ref() == Some(again));
                    let is_there = self.find(again).is_some_and(|row| row.again_of() == Some(cid));
                    faults.must(Rule::Receipt, is_noted && is_there, || {
                        format!("{cid} was to be run again as {again}, and that is not recorded")
                    });
                }
                Line::Answered { id } => answered.push(id),
                _ => {}
            }
        }
        let is_answer = |row: &&Row| row.channel == INSIDE && row.parent.is_none() && row.is_completed();
        let recorded: HashSet<_> = self.rows.iter().filter(is_answer).filter_map(Row::id).collect();
        for id in answered {
            faults.must(Rule::Told, recorded.contains(id), || {
                format!("`{id}` was answered, and is not recorded")
            });
        }
    }
}
