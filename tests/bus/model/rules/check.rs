//! The rules: how each CID may have ended, and who must have been told, whatever the script was.

use zato_runtime::Outcome;

use crate::model::facts::{Attempt, Checked, Facts, Kind, Node, Restart, SLOP, World, must, near};
use crate::model::log::Event;
use crate::model::script::End;

/// Checks a log by all rules.
pub(crate) fn check(world: World, events: &[(u64, Event)]) -> Checked {
    let facts = Facts::new(world, events)?;
    for (at, event) in events {
        let checked = match event {
            Event::Taken { token, answer: Err(error) } => facts.check_refusal(*at, *token, error),
            Event::Returned { token, answer } => facts.check_return(*token, *answer),
            _ => Ok(()),
        };
        checked.map_err(|fault| format!("at {at} ms, {event:?}: {fault}"))?;
    }
    for node in facts.nodes.values() {
        facts.check(node).map_err(|fault| format!("{fault}: {node:#?}"))?;
    }
    facts.check_letters()?;
    facts.check_again()?;
    facts.check_shutdown()?;
    facts
        .cancels
        .values()
        .try_for_each(|cancel| facts.check_cancel(cancel).map_err(|fault| format!("{fault}: {cancel:?}")))
}

impl Facts {
    /// A refusal has its reason.
    fn check_refusal(&self, at: u64, token: u64, error: &str) -> Checked {
        let by =
            self.asked.get(&token).map(|asked| asked.by).or(self.groups.get(&token).map(|asked| asked.by));
        let by = by.or(self.chains.get(&token).map(|asked| asked.by)).ok_or("nobody asked for it")?;
        if error.contains("shutting down") {
            return must(by.is_none() && self.shutdown.is_some_and(|(began, _)| began.at <= at), || {
                "there is no shutdown".to_owned()
            });
        }
        let asked = self.asked.get(&token).ok_or("groups are not refused")?;
        let inherited = by.and_then(|by| self.nodes.get(&by)?.deadline).filter(|_| !asked.call.new_root);
        let own = asked.call.deadline.map(|deadline| asked.when.at + deadline);
        let due = asked.when.at + asked.call.delay.unwrap_or_default();
        let blames_caller = error.contains("`.new_root()`");
        let blamed =
            if blames_caller { inherited } else { own.filter(|_| error.contains("its own deadline")) };
        let is_late = blamed.is_some_and(|deadline| due + SLOP >= deadline);
        must(is_late, || "it is refused for no reason".to_owned())
    }

    /// What a synchronous call was told is how its target was left.
    fn check_return(&self, token: u64, answer: Result<u64, bool>) -> Checked {
        let asked = self.asked.get(&token).ok_or("nobody asked for it")?;
        let left = self.cid_of.get(&token).and_then(|cid| self.nodes.get(cid)?.runs.last()?.left);
        let expected = match left.map(|(_, how)| how) {
            None if asked.call.is_unreadable => Err(true),
            Some(Some(End::Ok)) => Ok(token),
            Some(Some(how)) => Err(how == End::FailForGood),
            None | Some(None) => return Err("its target did not end".to_owned()),
        };
        must(answer == expected, || format!("it should be {expected:?}"))
    }

    fn check(&self, node: &Node) -> Checked {
        if node.kind == Kind::Sync {
            return self.check_inner(node);
        }
        let never_seen = matches!(node.kind, Kind::Member | Kind::Step) && node.runs.is_empty();
        must(node.ended.len() == usize::from(!never_seen), || "it should have one outcome".to_owned())?;
        let ended = node.ended.first();
        let told = ended.map(|(when, outcome)| (when.at, outcome));
        must(told.is_none_or(|(_, outcome)| *outcome == node.remembered), || {
            "it has another outcome now".to_owned()
        })?;
        let outcome = node.remembered.as_ref().ok_or("it has no outcome")?;
        let at = told.map(|(at, _)| at);
        self.check_record(node)?;
        match node.kind {
            Kind::Group => self.check_group(node, outcome)?,
            Kind::Chain => self.check_chain(node, outcome, at)?,
            _ => self.check_attempts(node, outcome, at)?,
        }
        self.check_callbacks(node, outcome, at)
    }

    /// A synchronous call is recorded with the attempt that it ran in, unless it was dropped with it.
    fn check_inner(&self, node: &Node) -> Checked {
        must(node.runs.len() == 1, || "it should run once".to_owned())?;
        must(near(node.runs[0].began.at, node.made.at), || "it waited for its turn".to_owned())?;
        let (when, how) = node.runs[0].left.ok_or("it was not left")?;
        let name = node.remembered.as_ref().map(Outcome::name);
        let expected = match how {
            None => {
                let above = node.above.and_then(|above| self.nodes.get(&above)).ok_or("nobody called it")?;
                let is_dropped = |run: &Attempt| matches!(run.left, Some((left, None)) if left.at == when.at);
                must(above.runs.iter().any(is_dropped), || "it was dropped alone".to_owned())?;
                return must(name.is_none(), || "it has no outcome of its own".to_owned());
            }
            Some(End::Ok) => "Completed",
            Some(_) => "Failed",
        };
        // What the shutdown has cut off took its records along.
        let is_cut = self.cut.is_some() || self.restarts.iter().any(Restart::has_cut);
        must(name == Some(expected) || (name.is_none() && is_cut), || format!("it should be {expected}"))
    }
}
