//! How groups end.

use zato_runtime::Outcome;

use crate::model::facts::{Checked, Facts, Node, must, rows};

impl Facts {
    pub(super) fn check_group(&self, node: &Node, outcome: &Outcome) -> Checked {
        let Some(rows) = rows(node) else {
            return must(outcome.name() == "Cancelled" && self.cut_of(node).is_some(), || {
                "a group completes".to_owned()
            });
        };
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
}
