//! What may be run again or discarded: dead letters, once.

use zato_runtime::Cid;

use crate::model::facts::{Checked, Facts, Kind, When, must};

impl Facts {
    pub(super) fn check_again(&self) -> Checked {
        for (when, cid, answer) in &self.reruns {
            let refused = answer.as_ref().err().map(String::as_str);
            self.check_letter_use(*when, *cid, refused, true)
                .map_err(|fault| format!("{fault}: run again, {answer:?}, {:#?}", self.nodes.get(cid)))?;
        }
        for (when, cid, answer) in &self.discards {
            let refused = answer.as_ref().err().map(String::as_str);
            self.check_letter_use(*when, *cid, refused, false)
                .map_err(|fault| format!("{fault}: discarded, {answer:?}, {:#?}", self.nodes.get(cid)))?;
        }
        Ok(())
    }

    /// A dead letter is taken, and all else refused, with the reason.
    fn check_letter_use(&self, when: When, cid: Cid, refused: Option<&str>, runs: bool) -> Checked {
        let node = self.nodes.get(&cid).ok_or("nobody knows it")?;
        let ended = node.ended.first().map(|(ended, _)| ended.at);
        let (may_have, may_not_have) =
            (ended.is_some_and(|at| at <= when.at), ended.is_none_or(|at| at >= when.at));
        let has_failed = may_have && node.remembered.as_ref().is_some_and(|outcome| !outcome.is_completed());
        let earlier =
            self.reruns.iter().find(|(at, of, answer)| *of == cid && answer.is_ok() && at.seq < when.seq);
        let again = earlier.and_then(|(.., answer)| answer.as_ref().ok());
        let is_gone = node.discarded.is_some_and(|at| at.seq < when.seq);
        let is_part = matches!(node.kind, Kind::Sync | Kind::Step);
        let is_letter = has_failed && again.is_none() && !is_gone && !is_part;
        let group =
            node.above.and_then(|above| self.nodes.get(&above)).filter(|above| above.kind == Kind::Group);
        let group_ended = group.map(|group| group.ended.first().map(|(ended, _)| ended.at));
        let is_open = self.shutdown.is_none_or(|(began, _)| when.at <= began.at);
        let holds = match refused {
            None if runs => is_letter && is_open && node.kind != Kind::Group,
            None => is_letter && group_ended.is_none_or(|at| at.is_some_and(|at| at <= when.at)),
            Some(why) if why.contains("shutting down") => {
                runs && is_letter && self.shutdown.is_some_and(|(began, _)| began.at <= when.at)
            }
            Some(why) if why.contains("run again, as") => {
                again.is_some_and(|again| why.contains(&again.to_string()))
            }
            Some(why) if why.contains("it completed") => may_have && !has_failed,
            Some(why) if why.contains("and needs its outcome") => {
                !runs && is_letter && group_ended.is_some_and(|at| at.is_none_or(|at| at >= when.at))
            }
            Some(why) if why.contains("has not ended") => may_not_have,
            Some(why) if why.contains("a step of the chain") => has_failed && node.kind == Kind::Step,
            Some(why) if why.contains("it is a group") => runs && is_letter && node.kind == Kind::Group,
            Some(why) => why.starts_with("the engine has no invocation with the CID") && is_gone,
        };
        must(holds, || "that is not the answer".to_owned())
    }
}
