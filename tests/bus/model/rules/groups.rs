//! How groups and chains end.

use zato_core::Ending;
use zato_runtime::Outcome;

use crate::model::facts::{Checked, Facts, Node, must, near, rows};

impl Facts {
    pub(super) fn check_group(&self, node: &Node, outcome: &Outcome) -> Checked {
        must(outcome.is_completed(), || "a group completes".to_owned())?;
        let rows = rows(node).ok_or("a group without rows")?;
        for (token, row) in node.members.iter().zip(rows) {
            let member =
                self.cid_of.get(token).and_then(|cid| self.nodes.get(cid)).ok_or("a row of nobody")?;
            let outcome = member.remembered.as_ref().ok_or("a row of what has not ended")?;
            let seen = (row["ok"].as_bool(), row["outcome"].as_str(), row["service"].as_str());
            let name = Some(outcome.name()).filter(|_| !outcome.is_completed());
            let expected = (Some(outcome.is_completed()), name, Some(member.service.as_str()));
            must(seen == expected, || format!("the row {row} of {member:?}"))?;
        }
        Ok(())
    }

    /// A chain ends as its last step, or as the one that ended in anything but `Completed`.
    pub(super) fn check_chain(&self, chain: &Node, outcome: &Outcome, at: Option<u64>) -> Checked {
        let steps: Vec<_> = self.parts(chain).collect();
        for (before, step) in steps.iter().zip(steps.iter().skip(1)) {
            let response = before.remembered.as_ref().and_then(Outcome::payload);
            let took = step.told.as_ref();
            must(response.is_some() && (took == response || step.runs.is_empty()), || {
                format!("{} followed on {response:?}", step.cid)
            })?;
        }
        let last = steps.last().ok_or("it ended without a step")?;
        let ended = last.ended.first().map(|(when, _)| when.at);
        must(ended.zip(at).is_none_or(|(ended, at)| near(ended, at)), || {
            format!("its last step ended at {ended:?}")
        })?;
        let (number, of) = (steps.len(), chain.services.len());
        let expected = last.remembered.clone().ok_or("its last step has no outcome")?.because(|ending| {
            let Node { service, cid, .. } = last;
            let error = format!("step {number} of {of}, `{service}` ({cid}): {}", ending.error);
            Ending::new(error, ending.permanent)
        });
        must(*outcome == expected && (number == of || !outcome.is_completed()), || {
            format!("after {number} steps of {of} it should be {expected:?}")
        })
    }
}
