//! Who must have been told of an outcome, and of what.

use zato_runtime::{FailureReport, Outcome};

use super::groups::is_cut;
use crate::model::facts::{Cancel, Checked, Facts, Kind, Node, SLOP, must};
use crate::model::script::token_of;

impl Facts {
    /// Each callback that the outcome calls for has run, once, with what it is to be told.
    pub(super) fn check_callbacks(&self, node: &Node, outcome: &Outcome, at: Option<u64>) -> Checked {
        let is_cut = is_cut(outcome);
        must(!is_cut || self.cut_of(node).is_some(), || "no shutdown cut it off".to_owned())?;
        let mut expected = match outcome {
            Outcome::Completed(_) => node.callbacks.clone(),
            _ if is_cut => Vec::new(),
            _ => node.on_failure.clone(),
        };
        for callback in
            self.nodes.values().filter(|other| other.kind == Kind::Callback && other.above == Some(node.cid))
        {
            let place = expected.iter().position(|service| *service == callback.service);
            expected.swap_remove(place.ok_or_else(|| format!("`{}` ran once too often", callback.service))?);
            self.check_told(node, outcome, callback)?;
        }
        // One that waited may have been cancelled with the tree, or cut off.
        let after = node.runs.last().and_then(|run| run.left).map_or(node.made, |(left, _)| left);
        let swept = |cancel: &Cancel| {
            self.sweeps(cancel) && cancel.when.seq > after.seq && self.hit(node, cancel).is_some()
        };
        let cut = self.cut.is_some_and(|cut| self.world.is_narrow || at.is_none_or(|at| at + SLOP >= cut.at));
        let is_excused = cut || self.cancels.values().any(swept);
        must(expected.is_empty() || is_excused, || format!("{expected:?} did not run"))
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
        must(report.attempts as usize == attempts, || {
            format!("its report says {} attempts", report.attempts)
        })?;
        must(token_of(&report) == Some(step.unwrap_or(node).token), || {
            format!("its report repeats {:?}", report.payload)
        })
    }
}
