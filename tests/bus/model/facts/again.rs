//! What was run again, and what was discarded.

use zato_runtime::Cid;

use super::node::{Checked, Kind, Node, When, must};
use super::read::Facts;

impl Facts {
    /// The same request to the same service, with the callbacks and options of the first but for its times, in its
    /// tree. A member is one of its group no longer.
    pub(super) fn ran_again(&mut self, when: When, cid: Cid, answer: &Result<Cid, String>) -> Checked {
        self.reruns.push((when, cid, answer.clone()));
        let Ok(again) = answer else { return Ok(()) };
        let first = self.nodes.get_mut(&cid).ok_or("nobody knows it")?;
        must(first.again.is_none() && first.discarded.is_none(), || "it was no dead letter".to_owned())?;
        first.again = Some(*again);
        let first = first.clone();
        if let (Kind::Chain, Some(step)) = (first.kind, first.members.first()) {
            self.chain_of.insert(*step, *again);
        }
        let node = Node {
            kind: if first.kind == Kind::Member { Kind::Async } else { first.kind },
            cid: *again,
            above: first.parent,
            made: when,
            due: when.at,
            expires: None,
            deadline: None,
            steps: Vec::new(),
            runs: Vec::new(),
            ended: Vec::new(),
            again_of: Some(cid),
            again: None,
            ..first
        };
        must(self.nodes.insert(*again, node).is_none(), || format!("{again} was given twice"))
    }

    pub(super) fn discarded(&mut self, when: When, cid: Cid, answer: &Result<(), String>) -> Checked {
        self.discards.push((when, cid, answer.clone()));
        if answer.is_ok() {
            let node = self.nodes.get_mut(&cid).ok_or("nobody knows it")?;
            must(node.again.is_none() && node.discarded.is_none(), || "it was no dead letter".to_owned())?;
            node.discarded = Some(when);
        }
        Ok(())
    }

    /// What was discarded is not held; how it ended is what was heard when it did.
    pub(super) fn forget_discarded(&mut self) -> Checked {
        for node in self.nodes.values_mut().filter(|node| node.discarded.is_some()) {
            must(node.remembered.is_none() && node.record.is_none(), || format!("{} is held", node.cid))?;
            node.remembered = node.ended.first().and_then(|(_, outcome)| outcome.clone());
        }
        Ok(())
    }
}
