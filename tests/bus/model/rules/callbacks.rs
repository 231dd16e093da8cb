//! Who must have been told of an outcome, and of what.

use zato_runtime::{FailureReport, Outcome};

use crate::model::facts::{Cancel, Checked, Facts, Kind, Node, SLOP, is_cut, must, near};
use crate::model::log::Record;
use crate::model::script::token_of;

impl Facts {
    /// Each callback that the outcome calls for has run, once, with what it is to be told.
    pub(super) fn check_callbacks(&self, node: &Node, outcome: &Outcome, at: Option<u64>) -> Checked {
        must(!is_cut(outcome) || self.may_be_cut(node, at), || "no shutdown cut it off".to_owned())?;
        let mut expected = match outcome {
            Outcome::Completed(_) => node.callbacks.clone(),
            _ => node.on_failure.clone(),
        };
        for callback in self.nodes.values().filter(|other| {
            other.kind == Kind::Callback && other.above == Some(node.cid) && other.again_of.is_none()
        }) {
            self.check_promptness(callback, at)?;
            let place = expected.iter().position(|service| *service == callback.service);
            expected.swap_remove(place.ok_or_else(|| format!("`{}` ran once too often", callback.service))?);
            self.check_told(node, outcome, callback)?;
        }
        // One that never ran is a dead letter.
        let unseen = self
            .letters
            .values()
            .filter(|letter| letter.in_reply_to == Some(node.cid) && !self.nodes.contains_key(&letter.cid));
        for letter in unseen {
            let place = expected.iter().position(|service| *service == letter.service);
            expected.swap_remove(place.ok_or_else(|| format!("{letter:?} is one too many"))?);
            // One that was cut off may have been handed out.
            let has_not_begun = letter.attempts == 0 || is_cut(&letter.outcome);
            must(has_not_begun && self.is_excused(node, letter, at), || {
                format!("{letter:?} should have run")
            })?;
        }
        must(expected.is_empty(), || format!("{expected:?} did not run"))
    }

    /// Whether a callback that waited may have ended so: cancelled with the tree, or cut off.
    fn is_excused(&self, node: &Node, letter: &Record, ended: Option<u64>) -> bool {
        if is_cut(&letter.outcome) {
            let ready = ended.map_or(u64::MAX, |ended| self.resumed(&letter.service, ended));
            let stopped = self.stopped.map_or(u64::MAX, |stopped| stopped.at);
            return self.is_paused(&letter.service)
                || (self.cut.is_some() && (self.world.is_narrow || stopped <= ready.saturating_add(SLOP)));
        }
        let after = node.runs.last().and_then(|run| run.left).map_or(node.made, |(left, _)| left);
        let swept = |cancel: &Cancel| {
            // On a disk one that began before the end may see what is told of it.
            let is_tie = self.world.is_durable && near(cancel.when.at, after.at);
            cancel.with_tree && (cancel.when.seq > after.seq || is_tie) && self.hit(node, cancel).is_some()
        };
        letter.outcome.name() == "Cancelled" && self.cancels.values().any(swept)
    }

    /// A callback starts as soon as what it tells of has ended, unless something holds it up.
    fn check_promptness(&self, callback: &Node, ended: Option<u64>) -> Checked {
        let (Some(ended), Some(first)) = (ended, callback.runs.first()) else { return Ok(()) };
        let ready = self.ready(callback, 0, ended, first.began);
        let is_prompt = self.world.is_narrow || first.began.at <= ready.saturating_add(SLOP);
        must(is_prompt, || format!("`{}` could start at {ready}", callback.service))
    }

    /// What a callback was told is how its target ended.
    fn check_told(&self, node: &Node, outcome: &Outcome, callback: &Node) -> Checked {
        let told = callback.told.as_ref().ok_or("a callback was told nothing")?;
        if let Some(response) = outcome.payload() {
            return must(told == response, || format!("its callback was told {told}"));
        }
        let report = told.decode::<FailureReport>().map_err(|error| error.to_string())?;
        let seen =
            (report.cid, report.service.as_str(), report.outcome.as_str(), Some(report.error.as_str()));
        let expected = (node.cid, node.service.as_str(), outcome.name(), outcome.error());
        must(seen == expected, || format!("its report says {seen:?}"))?;
        // Of a chain it tells of the step that ended it, on the request of the first.
        let step = self.parts(node).last().filter(|_| node.kind == Kind::Chain);
        must(report.step.as_ref() == step.map(|step| &step.service), || {
            format!("its report names the step {:?}", report.step)
        })?;
        let attempts = step.unwrap_or(node).runs.len() + usize::from(outcome.name() == "Undecodable");
        // One that was cut off may have been handed out and not begun.
        let is_more = is_cut(outcome) && report.attempts as usize == attempts + 1;
        must(report.attempts as usize == attempts || is_more, || {
            format!("its report says {} attempts", report.attempts)
        })?;
        must(token_of(&report) == Some(step.unwrap_or(node).token), || {
            format!("its report repeats {:?}", report.payload)
        })
    }
}
