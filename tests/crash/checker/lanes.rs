//! What has the same concurrency key runs one at a time, in the order in which it was accepted.

use std::collections::HashMap;

use super::fault::Rule;
use super::world::{Faults, World};
use crate::journal::Line;
use crate::script::LINE;

/// A service and a key.
type Lane = (String, String);

impl World<'_> {
    pub(super) fn check_lanes(&self, faults: &mut Faults) {
        let mut running: HashMap<Lane, &str> = HashMap::new();
        let mut last: HashMap<Lane, (i64, i64)> = HashMap::new();
        for line in self.lines {
            match line {
                // All that ran is dead.
                Line::Begins { .. } => running.clear(),
                Line::Began { cid, service, lane: Some(lane), .. } => {
                    let lane = (service.clone(), lane.clone());
                    if let Some(beside) = running.insert(lane.clone(), cid) {
                        faults.must(Rule::Lanes, false, || {
                            format!("{cid} ran beside {beside} of its key {lane:?}")
                        });
                    }
                    let Some(row) = self.find(cid) else { continue };
                    // What has no key starts in the order in which it came to be due.
                    let due = if row.service == LINE { row.called_at } else { 0 };
                    let before = last.insert(lane.clone(), (due, row.accept)).unwrap_or_default();
                    faults.must(Rule::Lanes, before <= (due, row.accept), || {
                        let number = before.1;
                        format!("it ran after number {number} of its key {lane:?}: {}", row.name())
                    });
                }
                Line::Left { cid, .. } => running.retain(|_, of| *of != cid),
                _ => {}
            }
        }
    }
}
