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
                    let (called, accept) =
                        last.insert(lane.clone(), (row.called_at, row.accept)).unwrap_or_default();
                    // Without a key the order is that in which they came to be due. Two callers may be accepted in another
                    // order than they called in: then either may be first.
                    let is_in_order = accept <= row.accept || row.service == LINE && called <= row.called_at;
                    faults.must(Rule::Lanes, is_in_order, || {
                        format!(
                            "it ran after number {accept}, called at {called}, of its key {lane:?}: {}",
                            row.name()
                        )
                    });
                }
                Line::Left { cid, .. } => running.retain(|_, of| *of != cid),
                _ => {}
            }
        }
    }
}
