//! Attempts are made of what is there, and counted.

use std::collections::{HashMap, HashSet};

use super::fault::Rule;
use super::rows::{INSIDE, Row};
use super::world::{Faults, World};
use crate::journal::Line;
use crate::script::POISON;

impl World<'_> {
    /// Its counts fit each other.
    pub(super) fn check_attempts(row: &Row, faults: &mut Faults) {
        let fits = row.failed + row.losses <= row.attempts
            && (!row.is_completed() || row.is_group() || row.attempts > 0);
        faults.must(Rule::Attempts, fits, || {
            let Row { attempts, failed, losses, .. } = row;
            format!("it has {attempts} attempts, {failed} that failed and {losses} losses: {}", row.name())
        });
    }

    /// What began is there, ran no more often than was counted, and not after its outcome was told.
    pub(super) fn check_begun(&self, faults: &mut Faults) {
        let (mut told, mut stops) = (HashSet::new(), HashMap::new());
        let mut in_this_life = HashSet::new();
        let mut begun: HashMap<&str, Vec<u32>> = HashMap::new();
        let mut deaths = 0;
        // In which life a handler began first.
        let mut lives = HashMap::new();
        // How often a handler began in a life that did not shut down.
        let mut kills: HashMap<&str, i64> = HashMap::new();
        let mut stops_now = false;
        for line in self.lines {
            match line {
                Line::Begins { .. } => {
                    add_kills(&mut kills, &in_this_life, stops_now);
                    in_this_life.clear();
                    stops_now = false;
                    deaths += 1;
                }
                Line::Stops { .. } => stops_now = true,
                Line::Told { cid, .. } => drop(told.insert(cid)),
                Line::Cancelled { cid, answer } if answer == "requested" => {
                    stops.insert(cid, deaths);
                }
                Line::Began { cid, attempt, is_inside, .. } => {
                    let life = *lives.entry(cid).or_insert(deaths);
                    faults.must(Rule::Attempts, !is_inside || life == deaths, || {
                        format!("{cid} was called synchronously, and ran again after its process had died")
                    });
                    faults.must(Rule::Attempts, !told.contains(cid), || {
                        format!("{cid} ran after it had ended")
                    });
                    faults.must(Rule::Attempts, in_this_life.insert((cid, attempt)) || *is_inside, || {
                        format!("attempt {attempt} of {cid} began twice")
                    });
                    let is_to_stop = stops.get(cid).is_some_and(|life| *life < deaths);
                    faults.must(Rule::Told, !is_to_stop, || {
                        format!("{cid} ran in a later life than that in which it was cancelled")
                    });
                    begun.entry(cid).or_default().push(*attempt);
                    faults.must(Rule::Asked, *is_inside || self.find(cid).is_some(), || {
                        format!("{cid} ran, and is not there")
                    });
                }
                _ => {}
            }
        }
        add_kills(&mut kills, &in_this_life, stops_now);
        for row in &self.rows {
            let begun = begun.get(&*row.cid).map(Vec::as_slice).unwrap_or_default();
            let last = begun.iter().max().map_or(0, |last| i64::from(*last));
            faults.must(Rule::Attempts, last <= row.attempts && row.losses <= deaths, || {
                format!("attempt {last} of it began, and {} are recorded: {}", row.attempts, row.name())
            });
            let must_have_run = row.is_completed() && !row.is_group() && row.channel != INSIDE;
            faults.must(Rule::Attempts, !must_have_run || last == row.attempts, || {
                format!("it completed and did not run: {}", row.name())
            });
            // A death during a shutdown is no loss.
            let killed = kills.get(&*row.cid).copied().unwrap_or_default();
            faults.must(Rule::Attempts, row.service != POISON || killed <= row.losses, || {
                format!(
                    "it could kill its process {killed} times, with {} losses: {}",
                    row.losses,
                    row.name()
                )
            });
        }
    }
}

/// A life is over in which these attempts began.
fn add_kills<'a>(kills: &mut HashMap<&'a str, i64>, begun: &HashSet<(&'a String, &u32)>, stopped: bool) {
    for (cid, _) in begun.iter().filter(|_| !stopped) {
        *kills.entry(cid).or_default() += 1;
    }
}
