//! Deaths as the file counts them from one life to the next.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::path::Path;

use super::fault::{Fault, Rule};
use super::rows::{self, Counts};
use super::world::Faults;
use crate::journal::{self, Line};

/// The number that the file has for what runs.
const RUNNING: i64 = 1;

/// An attempt that the file says runs, though its process is dead.
#[derive(Debug, Clone, Copy)]
struct Cut {
    attempt: i64,
    /// The life after which the file said so first.
    since: u32,
}

/// A death that was counted.
#[derive(Debug)]
struct Counted {
    cid: String,
    /// The lives of which it may have been the death.
    lives: RangeInclusive<u32>,
}

/// The counts of a file, read after each life.
#[derive(Debug, Default)]
pub(crate) struct Deaths {
    last: Option<u32>,
    cut: HashMap<String, Cut>,
    losses: HashMap<String, i64>,
    counted: Vec<Counted>,
    /// How many attempts each life has left as running.
    left: HashMap<u32, usize>,
    faults: Faults,
}

impl Deaths {
    /// Reads the file as this life has left it.
    pub(crate) fn read(&mut self, life: u32, file: &Path) {
        match rows::open(file).and_then(|connection| rows::counts(&connection)) {
            Ok(counts) => self.add(life, counts),
            // A process that is killed at once has made no tables.
            Err(error) => {
                let is_new = self.last.is_none();
                self.faults.must(Rule::Whole, is_new, || format!("after life {life}: {error}"));
            }
        }
    }

    fn add(&mut self, life: u32, counts: Vec<(String, Counts)>) {
        let before = self.last.replace(life).unwrap_or_default();
        let mut cut = HashMap::new();
        for (cid, Counts { state, attempts, losses }) in counts {
            let (ran, was) =
                (self.cut.get(&cid).copied(), self.losses.get(&cid).copied().unwrap_or_default());
            if losses != was {
                let is_one = losses == was + 1 && ran.is_some();
                self.faults.must(Rule::Deaths, is_one, || {
                    format!("after life {life}: {cid} has {losses} losses, after {was}; it had run: {ran:?}")
                });
                if let Some(Cut { since, .. }) = ran {
                    self.counted.push(Counted { cid: cid.clone(), lives: since..=before });
                }
                self.losses.insert(cid.clone(), losses);
            }
            if state == RUNNING {
                // The life between may have died before it looked.
                let is_same = ran.filter(|ran| ran.attempt == attempts && losses == was);
                let since = is_same.map_or(life, |ran| ran.since);
                *self.left.entry(life).or_default() += usize::from(since == life);
                cut.insert(cid, Cut { attempt: attempts, since });
            }
        }
        self.cut = cut;
    }

    /// Returns the faults, by the journal's word of which shutdowns had been recorded.
    pub(crate) fn faults(self, journal: &Path) -> Vec<Fault> {
        let drained = drained(journal);
        let mut faults = self.faults;
        for Counted { cid, mut lives } in self.counted {
            let (first, last) = (*lives.start(), *lives.end());
            faults.must(Rule::Deaths, !lives.all(|life| drained.contains(&life)), || {
                format!("{cid} has a loss for a death during a shutdown, of a life from {first} to {last}")
            });
        }
        faults.0
    }

    /// Returns how many attempts were left as running by a life whose shutdown had been recorded.
    pub(crate) fn left_by_drains(&self, journal: &Path) -> usize {
        drained(journal).iter().filter_map(|life| self.left.get(life)).sum()
    }

    /// Returns how many deaths were counted.
    pub(crate) fn counted(&self) -> usize {
        self.counted.len()
    }
}

/// The lives whose shutdown had been recorded.
fn drained(journal: &Path) -> HashSet<u32> {
    let lines = journal::read(journal).unwrap_or_default();
    let life = |line| if let Line::Drains { life } = line { Some(life) } else { None };
    lines.into_iter().filter_map(life).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITING: i64 = 0;

    /// The rules that are broken by one invocation with these counts after each life: state, attempts and losses.
    fn broken(after: &[(i64, i64, i64)], drained: &[u32]) -> Vec<Rule> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let journal = directory.path().join("journal");
        let lines: Vec<_> = drained.iter().map(|life| Line::Drains { life: *life }).collect();
        journal::write(&journal, &lines).expect("the journal can be written");
        let mut deaths = Deaths::default();
        for (life, &(state, attempts, losses)) in (1..).zip(after) {
            deaths.add(life, vec![("it".to_owned(), Counts { state, attempts, losses })]);
        }
        deaths.faults(&journal).into_iter().map(|fault| fault.rule).collect()
    }

    #[test]
    fn a_death_counts_once_and_not_during_a_recorded_shutdown() {
        let runs = [(RUNNING, 1, 0), (RUNNING, 2, 1), (WAITING, 2, 2)];
        assert_eq!(broken(&runs, &[]), []);
        assert_eq!(broken(&runs, &[1]), [Rule::Deaths]);
        assert_eq!(broken(&runs, &[1, 2]), [Rule::Deaths; 2]);
        assert_eq!(broken(&[(RUNNING, 1, 0), (RUNNING, 2, 0), (WAITING, 2, 0)], &[1, 2]), []);
        assert_eq!(broken(&[(RUNNING, 1, 0), (RUNNING, 2, 2)], &[]), [Rule::Deaths], "it is counted twice");
        assert_eq!(broken(&[(WAITING, 0, 0), (RUNNING, 1, 1)], &[]), [Rule::Deaths], "it had not run");
        assert_eq!(broken(&[(RUNNING, 1, 1)], &[]), [Rule::Deaths], "it is counted before any death");
    }

    /// A life that died before it looked at what an earlier one had left is not told from one that ran it.
    #[test]
    fn a_death_may_be_that_of_a_life_between() {
        let runs = [(RUNNING, 1, 0), (RUNNING, 1, 0), (WAITING, 1, 1)];
        assert_eq!(broken(&runs, &[1]), []);
        assert_eq!(broken(&runs, &[1, 2]), [Rule::Deaths]);
    }
}
