//! Programs that take turns: each runs what it hosts, and what is paused waits.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use super::fault::Rule;
use super::rows;
use super::world::{Faults, Made, World};
use crate::journal::{self, Line};
use crate::script::LINE;

/// Figures of what programs that took turns have met. A run without them has tried nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Turns {
    /// The invocations that were called in a life that does not host their service, and have completed in a later one.
    pub(crate) parked: usize,
    /// The times that a service was paused or resumed.
    pub(crate) pauses: usize,
    /// The lives in which a service was paused from the begin; shutdowns alone pause [`LINE`].
    pub(crate) lives_paused: usize,
    /// The shutdowns whose begin was recorded, and that were cut off.
    pub(crate) drains_cut_off: usize,
}

impl fmt::Display for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parked, pauses, lives_paused, drains_cut_off } = self;
        write!(
            f,
            "{parked} completed that were parked first; {pauses} pauses and resumes, {lives_paused} lives that began with a \
             paused service; {drains_cut_off} shutdowns were cut off after they had been recorded"
        )
    }
}

/// Returns the figures of a run.
pub(crate) fn turns(journal: &Path, file: &Path) -> Turns {
    let lines = journal::read(journal).unwrap_or_default();
    let rows = rows::open(file).and_then(|connection| rows::read(&connection)).unwrap_or_default();
    let world = World::new(rows, &lines);
    let (mut turns, mut hosted, mut drains) = (Turns::default(), None, false);
    let mut paused = HashSet::new();
    for line in &lines {
        match line {
            Line::Begins { .. } => {
                turns.drains_cut_off += usize::from(drains);
                turns.lives_paused += usize::from(paused.iter().any(|service| *service != LINE));
                (hosted, drains) = (None, false);
            }
            Line::Hosts { services } => hosted = Some(services),
            Line::Drains { .. } => drains = true,
            Line::Down { .. } => drains = false,
            Line::Switched { service, pauses } => {
                turns.pauses += 1;
                if *pauses {
                    paused.insert(service)
                } else {
                    paused.remove(service)
                };
            }
            Line::Got { cid, .. } => {
                let is_parked = world.find(cid).is_some_and(|row| {
                    !row.is_group()
                        && row.is_completed()
                        && hosted.is_some_and(|hosted| !hosted.contains(&row.service))
                });
                turns.parked += usize::from(is_parked);
            }
            _ => {}
        }
    }
    turns
}

/// What is known of whether a service is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// The store has confirmed it. The index is that of the confirmation's line.
    Paused(usize),
    Resumed,
    /// A change was not answered.
    Unknown,
}

impl World<'_> {
    /// What begins is hosted by the program that runs.
    pub(super) fn check_hosts(&self, faults: &mut Faults) {
        let mut hosted = None;
        for line in self.lines {
            match line {
                Line::Begins { .. } => hosted = None,
                Line::Hosts { services } => hosted = Some(services),
                Line::Began { cid, service, .. } => {
                    let is_hosted = hosted.is_none_or(|hosted| hosted.contains(service));
                    faults.must(Rule::Hosted, is_hosted, || {
                        format!("{service} ({cid}) ran in a program that does not host it")
                    });
                }
                _ => {}
            }
        }
    }

    /// After a pause was confirmed nothing of the service begins until it is resumed: nothing at all in later lives, and in
    /// the same life nothing that was called after it, since what was called before may have been on its way to its handler.
    /// A synchronous call runs inside something else. The file says what was confirmed last.
    pub(super) fn check_pauses(&self, recorded: &[String], faults: &mut Faults) {
        let mut known: HashMap<&str, Known> = HashMap::new();
        let mut asked: HashMap<Made, usize> = HashMap::new();
        let mut life = 0;
        for (index, line) in self.lines.iter().enumerate() {
            match line {
                Line::Begins { .. } => life = index,
                Line::Asks(ask) => drop(asked.entry((ask.by.clone(), ask.id.clone())).or_insert(index)),
                Line::Switches { service, .. } => drop(known.insert(service, Known::Unknown)),
                Line::Switched { service, pauses } => {
                    known.insert(service, if *pauses { Known::Paused(index) } else { Known::Resumed });
                }
                Line::Began { cid, service, is_inside: false, .. } => {
                    let Some(Known::Paused(since)) = known.get(&**service).copied() else { continue };
                    let is_later = since < life || self.asked_at(cid, &asked).is_some_and(|at| at > since);
                    faults
                        .must(Rule::Paused, !is_later, || format!("{cid} began while {service} was paused"));
                }
                _ => {}
            }
        }
        for (service, known) in known {
            let is_recorded = recorded.iter().any(|paused| paused == service);
            let is_so = match known {
                Known::Paused(_) => is_recorded,
                Known::Resumed => !is_recorded,
                Known::Unknown => true,
            };
            faults.must(Rule::Paused, is_so, || {
                format!("{service} is {known:?}, and the file says paused: {is_recorded}")
            });
        }
    }

    /// Returns the line with which an invocation, or the group that it is in, was first asked for; none for a callback and
    /// for what is run again.
    fn asked_at(&self, cid: &str, asked: &HashMap<Made, usize>) -> Option<usize> {
        let row = self.find(cid).filter(|row| row.again_of().is_none())?;
        let asked_for = self.slot_in(row).unwrap_or(row);
        asked.get(&self.made(asked_for)?).copied()
    }
}
