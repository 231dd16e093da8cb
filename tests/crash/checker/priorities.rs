//! A service that runs one at a time runs the highest priority first, and then what was called first.

use std::collections::HashSet;

use super::fault::Rule;
use super::rows::Row;
use super::world::{Faults, World};
use crate::journal::Line;
use crate::script::RANKED;

/// What the journal says of the service at one line.
#[derive(Debug, Default)]
struct Ranks<'a> {
    /// The calls that were confirmed, of those that can only run or wait.
    confirmed: HashSet<&'a str>,
    /// Those of them that an attempt has left: they may have ended.
    left: HashSet<&'a str>,
    /// Those that waited for certain when the place last came free.
    waiting: HashSet<&'a str>,
    running: Option<&'a str>,
    /// All that have begun, in this life or an earlier one.
    begun: HashSet<&'a str>,
}

impl Ranks<'_> {
    /// The place comes free.
    fn is_free(&mut self) {
        self.running = None;
        self.waiting = self.confirmed.difference(&self.left).copied().collect();
    }
}

impl World<'_> {
    /// Whatever begins was the first of those that had been confirmed when the place came free: when the one before left, or
    /// when its life began. What was recorded as running when its process died is not looked at: it was the first before.
    pub(super) fn check_priorities(&self, faults: &mut Faults) {
        let mut ranks = Ranks::default();
        for line in self.lines {
            match line {
                Line::Begins { .. } => ranks.is_free(),
                Line::Got { cid, .. } if self.find(cid).is_some_and(|row| self.only_waits(row)) => {
                    ranks.confirmed.insert(cid);
                }
                Line::Left { cid, .. } if self.find(cid).is_some_and(|row| row.service == RANKED) => {
                    ranks.left.insert(cid);
                    ranks.is_free();
                }
                Line::Began { cid, attempt, service, is_inside: false, .. } if service == RANKED => {
                    if let Some(beside) = ranks.running.replace(cid) {
                        faults.must(Rule::Ranked, false, || format!("{cid} ran beside {beside}"));
                    }
                    let is_first_attempt = *attempt == 1 && ranks.begun.insert(cid);
                    let Some(row) = self.find(cid).filter(|_| is_first_attempt) else { continue };
                    let waiting = ranks.waiting.iter().filter_map(|cid| self.find(cid));
                    for first in waiting.filter(|other| comes_before(other, row)) {
                        faults.must(Rule::Ranked, false, || {
                            format!("{} began while {} waited", ranked(row), ranked(first))
                        });
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether it is of the service, was due at once, and nothing ends it before it has run.
    fn only_waits(&self, row: &Row) -> bool {
        row.service == RANKED && row.due.is_none() && !self.cancelled.contains(&row.root)
    }
}

fn priority(row: &Row) -> i64 {
    row.options["priority"].as_i64().unwrap_or_default()
}

fn comes_before(other: &Row, row: &Row) -> bool {
    let is_older = other.called_at < row.called_at && other.accept < row.accept;
    priority(other) > priority(row) || priority(other) == priority(row) && is_older
}

fn ranked(row: &Row) -> String {
    format!("{} of priority {}", row.name(), priority(row))
}
