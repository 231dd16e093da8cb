//! Nothing exists that no one asked for, and what was asked for once exists once.

use std::collections::HashMap;

use super::fault::Rule;
use super::rows::{CALL, CALLBACK, INSIDE, Row, STEP};
use super::world::{Faults, Made, World};
use crate::journal::{Asked, Line, Target, What, digest};

/// How long a call may be on its way from when it says that it was made to when it is accepted, in nanoseconds: what it is
/// equal to may end meanwhile.
const ON_ITS_WAY: i64 = 1_000_000_000;

/// Whether a row is the target that was asked for.
fn is(row: &Row, target: &Target) -> bool {
    row.service == target.service && digest(&row.payload.1) == target.digest
}

impl World<'_> {
    /// Somebody asked for it, and for what it is.
    pub(super) fn check_asked(&self, row: &Row, faults: &mut Faults) {
        let is_asked = match row.channel {
            // Looked at with all others inside, and with what it answers.
            INSIDE | CALLBACK => true,
            STEP => self.slot_in(row).is_some(),
            _ if row.again_of().is_some() => self.is_run_again(row),
            CALL if row.slot.is_some() => self.slot_in(row).is_some(),
            _ => self.asked(row).is_some_and(|asked| self.is_what_was_asked(row, asked)),
        };
        faults.must(Rule::Asked, is_asked, || format!("no one asked for it so: {}", row.name()));
    }

    /// The group whose place it fills.
    pub(super) fn slot_in(&self, row: &Row) -> Option<&Row> {
        let group = self.find(&row.slot.as_ref()?.0)?;
        group.is_group().then_some(group)
    }

    fn is_run_again(&self, row: &Row) -> bool {
        let Some(first) = row.again_of().and_then(|first| self.find(first)) else { return false };
        let is_asked = self.runs_again.contains(&first.cid);
        let what = |row: &Row| {
            (
                row.service.clone(),
                row.payload.clone(),
                row.callbacks.clone(),
                row.on_failure.clone(),
                row.channel,
            )
        };
        is_asked && what(first) == what(row) && first.again.as_ref() == Some(&row.cid)
    }

    fn is_what_was_asked(&self, row: &Row, asked: &Asked) -> bool {
        let is_told_on = row.callbacks == asked.callbacks && row.on_failure == asked.on_failure;
        let is_named = asked.cid.as_ref().is_none_or(|cid| *cid == row.cid);
        let is_target = match &asked.what {
            What::Call(target) => row.channel == CALL && is(row, target),
            What::Group { fans_out, members, each } => {
                let mut found: Vec<_> = self.members(&row.cid).collect();
                found.sort_by_key(|member| member.slot.as_ref().map(|slot| slot.1));
                let is_member = |(member, target): (&&Row, &Target)| {
                    is(member, target) && member.callbacks == *each && member.on_failure == *each
                };
                row.channel == 3 + i64::from(*fans_out)
                    && found.len() == members.len()
                    && found.iter().zip(members).all(is_member)
            }
            What::Chain { first, steps } => {
                let is_first = self.members(&row.cid).next().is_some_and(|step| is(step, first));
                let written: Vec<_> = row.options["steps"].as_array().into_iter().flatten().collect();
                row.channel == 5 && is_first && written == steps.iter().collect::<Vec<_>>()
            }
        };
        is_told_on && is_named && is_target
    }

    /// A call was made once: where a handler ran again it was given what it had made, unless that had failed. What
    /// has an idempotency key exists once, whoever asks.
    pub(super) fn check_once(&self, faults: &mut Faults) {
        let mut made: HashMap<Made, Vec<&Row>> = HashMap::new();
        let mut keys: HashMap<(&str, &str), &Row> = HashMap::new();
        let mut inside: HashMap<Made, usize> = HashMap::new();
        for row in &self.rows {
            if let Some(key) = row.options["idempotency_key"].as_str() {
                let first = keys.insert((&row.service, key), row);
                faults.must(Rule::Once, first.is_none(), || {
                    format!("it is the second of its key: {}", row.name())
                });
            } else if row.channel == INSIDE {
                *inside.entry(self.made_inside(row)).or_default() += 1;
            } else if (row.is_group() || row.channel == CALL && row.slot.is_none())
                && row.again_of().is_none()
            {
                made.entry(self.made(row).unwrap_or_default()).or_default().push(row);
            }
        }
        for rows in made.values() {
            for pair in rows.windows(2) {
                let [before, after] = pair else { continue };
                let has_failed = before.outcome.is_some() && !before.is_completed();
                let is_later = before.ended_at.is_some_and(|ended| ended <= after.called_at + ON_ITS_WAY);
                faults.must(Rule::Once, after.parent.is_some() && has_failed && is_later, || {
                    format!("{} was made again as {}", before.name(), after.name())
                });
            }
        }
        self.check_inside(inside, faults);
    }

    /// What a synchronous call was asked for as. Where what it was made inside is gone, its tree tells who asked, or the call
    /// itself where all above it is gone too.
    fn made_inside(&self, row: &Row) -> Made {
        let (by, id) = self.made(row).unwrap_or_default();
        let Some(made_in) = by.as_ref().filter(|by| self.find(by).is_none()) else { return (by, id) };
        let mut asks = self.inside.get(&id).into_iter().flatten();
        let of_tree = asks.find(|by| self.find(by).is_some_and(|by| by.root == row.root)).cloned();
        let is_gone = self.gone.contains(made_in);
        (of_tree.or_else(|| by.clone().filter(|_| is_gone)), id)
    }

    /// A synchronous call is recorded at most as often as it was made; for certain where it brought a response in the
    /// attempt that was the last.
    fn check_inside(&self, mut recorded: HashMap<Made, usize>, faults: &mut Faults) {
        let mut asked: HashMap<Made, usize> = HashMap::new();
        for line in self.lines {
            match line {
                Line::AsksInside { id, by, .. } => {
                    *asked.entry((Some(by.clone()), id.clone())).or_default() += 1;
                }
                Line::AsksOutside { id } => *asked.entry((None, id.clone())).or_default() += 1,
                Line::Returned { id, by, attempt } => {
                    let ran =
                        self.find(by).filter(|row| row.attempts == i64::from(*attempt) && row.is_completed());
                    let made = (Some(by.clone()), id.clone());
                    faults.must(Rule::Receipt, ran.is_none() || recorded.contains_key(&made), || {
                        format!("the synchronous call `{id}` of {by} is not recorded")
                    });
                }
                _ => {}
            }
        }
        for (made, asked) in asked {
            let count = recorded.remove(&made).unwrap_or_default();
            faults.must(Rule::Once, count <= asked, || {
                format!("the synchronous call {made:?} was made {asked} times and is recorded {count} times")
            });
        }
        for made in recorded.into_keys() {
            faults.must(Rule::Asked, false, || format!("no one asked for the synchronous call {made:?}"));
        }
    }

    /// What is above it is there, and they belong to one tree; but for what went with its process.
    pub(super) fn check_tree(&self, row: &Row, faults: &mut Faults) {
        let above = row.parent.as_ref().and_then(|parent| self.find(parent));
        let fits = match (&row.parent, above) {
            // A synchronous call from outside is recorded when it ends: what it has called may outlive it.
            (Some(_), None) => {
                self.gone.contains(&row.root) || self.beside_gap(row).is_some_and(|by| by.root == row.root)
            }
            (Some(_), Some(above)) => {
                above.root == row.root
                    && above.depth + 1 == row.depth
                    && row.caller.as_ref() == Some(&above.service)
            }
            (None, _) => {
                let first = row.again_of().and_then(|first| self.find(first)).or(self.slot_in(row));
                let root = first.map_or(&row.cid, |first| &first.root);
                *root == row.root && row.depth == 0 && row.caller.is_none()
            }
        };
        faults.must(Rule::Trees, fits, || format!("it has no place in a tree: {}", row.name()));
    }

    /// What leads to its tree where its parent is a synchronous call that is gone with its attempt: the invocation whose
    /// attempt that was, for a member its group, for what runs again the first. A synchronous call inside one that was
    /// cut off has its root alone.
    fn beside_gap(&self, row: &Row) -> Option<&Row> {
        let by = row.hidden_by.as_deref().or(row.again_of());
        let by = by.or_else(|| Some(&self.slot_in(row)?.cid));
        by.or((row.channel == INSIDE).then_some(&*row.root)).and_then(|by| self.find(by))
    }
}
