//! Whom a cancel comes to, and what it answers.

use zato_runtime::{Cancellation, Outcome};

use crate::model::facts::{Attempt, Cancel, Checked, Facts, Kind, Node, When, must, near};

impl Facts {
    /// Whether a cancel of something above goes on to this: with the whole tree, or as a part of the group.
    fn goes_on_to(&self, node: &Node, cancel: &Cancel) -> bool {
        let is_part = || {
            let is_group = self.nodes.get(&cancel.cid).is_some_and(Node::is_many);
            is_group && node.above == Some(cancel.cid) && node.kind != Kind::Callback
        };
        cancel.with_tree || (cancel.answer == Some(Ok(Cancellation::Requested)) && is_part())
    }

    /// When a cancel came to an invocation, if it did: directly, with the tree, or because what called it had been
    /// told before.
    pub(super) fn hit(&self, node: &Node, cancel: &Cancel) -> Option<When> {
        if matches!(cancel.answer, Some(Err(_))) {
            return None;
        }
        if node.cid == cancel.cid {
            return Some(cancel.when).filter(|when| node.made.seq < when.seq);
        }
        let above = node.above.and_then(|above| self.nodes.get(&above))?;
        // Who walks down the tree comes past what is held no longer, too.
        if above.root != node.root || !self.goes_on_to(node, cancel) {
            return None;
        }
        let hit = self.hit(above, cancel)?;
        if node.made.seq < cancel.when.seq {
            return Some(cancel.when);
        }
        // What comes by itself, or from outside, is not of an attempt that was told.
        let is_of_attempt = node.kind != Kind::Callback && node.again_of.is_none()
            // Where a cancel takes its time, it may see what came after it was asked for.
            || self.world.is_durable && node.made.at == cancel.when.at;
        (is_of_attempt && hit.seq <= node.made.seq).then_some(node.made)
    }

    /// Whether a cancel may have passed an invocation by, or what called it: with its tree, it is not one step on a disk.
    pub(super) fn may_miss(&self, node: &Node, hit: &When) -> bool {
        let above = || node.above.and_then(|above| self.nodes.get(&above));
        let may_miss_above = |above: &Node| {
            self.hits(above).iter().any(|above_hit| above_hit.at <= hit.at && self.may_miss(above, above_hit))
        };
        self.world.is_durable && (near(node.made.at, hit.at) || above().is_some_and(may_miss_above))
    }

    pub(super) fn hits(&self, node: &Node) -> Vec<When> {
        self.cancels.values().filter_map(|cancel| self.hit(node, cancel)).collect()
    }

    pub(super) fn check_cancel(&self, cancel: &Cancel) -> Checked {
        let node = self.nodes.get(&cancel.cid);
        let Some(answer) = &cancel.answer else { return Ok(()) };
        let Ok(answer) = answer else {
            // A synchronous call is held when the attempt that it ran in has been recorded.
            return must(
                node.is_none_or(|node| {
                    let is_before = |at: &When| at.seq < cancel.when.seq || at.at == cancel.when.at;
                    node.kind == Kind::Sync || node.discarded.as_ref().is_some_and(is_before)
                }),
                || "it was held".to_owned(),
            );
        };
        let node = node.ok_or("it is not held")?;
        let at = node.ended.first().map(|(when, _)| when.at);
        let outcome = node.remembered.as_ref();
        let is_right = match answer {
            Cancellation::Ended(ended) => outcome == Some(ended) && at.is_none_or(|at| at <= cancel.when.at),
            Cancellation::Cancelled => {
                matches!(outcome, Some(Outcome::Cancelled(_))) && at.is_none_or(|at| near(at, cancel.when.at))
            }
            Cancellation::Requested => {
                let runs = |run: &Attempt| {
                    (run.began.seq < cancel.when.seq || run.began.at == cancel.when.at)
                        && run.left.is_none_or(|(left, _)| left.seq > cancel.when.seq)
                };
                // What a worker has taken and not begun is taken for one that runs, and so is what is on its way to or
                // from a disk.
                let is_over = |run: &Attempt| run.left.is_some_and(|(left, _)| left.seq < cancel.when.seq);
                let is_taken =
                    node.runs.iter().all(is_over) && matches!(outcome, Some(Outcome::Cancelled(_)));
                let is_unseen =
                    (self.world.is_durable || is_taken) && at.is_some_and(|at| near(at, cancel.when.at));
                node.is_many() || is_unseen || node.runs.iter().any(runs)
            }
        };
        must(is_right, || format!("the answer does not fit {node:?}"))
    }
}
