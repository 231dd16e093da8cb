//! What the bus says of what has ended, when all is over.

use zato_runtime::Cid;

use crate::model::facts::{Checked, Facts, Kind, Node, is_cut, must, near};
use crate::model::log::Record;

impl Facts {
    /// Who looks at an invocation finds it as it ended.
    pub(super) fn check_record(&self, node: &Node) -> Checked {
        if node.discarded.is_some() {
            return Ok(());
        }
        let Some(outcome) = &node.remembered else {
            return must(node.record.is_none(), || "it is found and has no outcome".to_owned());
        };
        let record = node.record.as_ref().ok_or("it is not found")?;
        must(record.outcome == *outcome && record.service == node.service, || format!("it is {record:?}"))?;
        must((record.again_of, record.again) == (node.again_of, node.again), || {
            format!("it runs {:?} again, and {:?} runs it again", record.again_of, record.again)
        })?;
        let at = self.world.ms(record.ended_at);
        must(node.ended.iter().all(|(when, _)| near(when.at, at)), || format!("it ended at {at}"))?;
        let runs = match node.kind {
            Kind::Group => return Ok(()),
            Kind::Chain => self.parts(node).last(),
            _ => Some(node),
        };
        let attempts = runs.map_or(0, |node| node.runs.len() + usize::from(node.is_undecodable()));
        // One that was cut off may have been handed out and not begun.
        let has_right_number = record.attempts as usize == attempts
            || (is_cut(outcome) && record.attempts as usize == attempts + 1);
        must(has_right_number, || format!("it has {} attempts", record.attempts))
    }

    /// Dead letters are what has ended in anything but `Completed`, but for what is a part of something else.
    pub(super) fn check_letters(&self) -> Checked {
        for node in self.nodes.values() {
            let is_dead = node.remembered.as_ref().is_some_and(|outcome| !outcome.is_completed());
            let is_listed = self.letters.get(&node.cid);
            let is_part = matches!(node.kind, Kind::Sync | Kind::Step);
            let should_be = is_dead && !is_part && node.again.is_none() && node.discarded.is_none();
            must(is_listed == node.record.as_ref().filter(|_| should_be), || {
                format!("it is listed as {is_listed:?}: {node:#?}")
            })?;
        }
        let of = |cid: &Cid| self.nodes.contains_key(cid);
        // That it is called for is seen to where what it tells of is checked.
        let is_known = |letter: &&Record| of(&letter.cid) || letter.in_reply_to.as_ref().is_some_and(of);
        let nobodys = self.letters.values().find(|letter| !is_known(letter));
        must(nobodys.is_none(), || format!("{nobodys:?} is of nobody"))
    }
}
