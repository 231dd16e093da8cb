//! The rules: how each CID may have ended, and who must have been told, whatever the script was.

use zato_runtime::{Cancellation, FailureReport, Outcome};

use super::facts::{Attempt, Cancel, Checked, Facts, GRACE, Kind, Node, SLOP, When, World, must, near, rows};
use super::script::{Answer, End, TARGETS, token_of};
use super::world::Event;

/// What follows from an attempt.
#[derive(Debug, PartialEq)]
enum Verdict {
    End(&'static str),
    /// Another attempt at this time.
    Again(u64),
    /// Another attempt, but not before the next start.
    Held,
}

/// Checks a log by all rules.
pub(super) fn check(world: World, events: &[(u64, Event)]) -> Checked {
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
        let by = by.ok_or("nobody asked for it")?;
        if error.contains("shutting down") {
            return must(by.is_none() && self.shutdown.is_some_and(|(began, _)| began.at <= at), || {
                "there is no shutdown".to_owned()
            });
        }
        let asked = self.asked.get(&token).ok_or("groups are not refused")?;
        let inherited = by.and_then(|by| self.nodes.get(&by)?.deadline).filter(|_| !asked.call.new_root);
        let own = asked.call.deadline.map(|deadline| asked.when.at + deadline);
        let due = asked.when.at + asked.call.delay.unwrap_or_default();
        let is_late = [inherited, own].into_iter().flatten().any(|deadline| due + SLOP >= deadline);
        must(error.contains("`.new_root()`") && is_late, || "it is refused for no reason".to_owned())
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

    /// When a cancel came to an invocation, if it did: directly, with the tree, or because what called it had been
    /// told before.
    fn hit(&self, node: &Node, cancel: &Cancel) -> Option<When> {
        if matches!(cancel.answer, Some(Err(_))) {
            return None;
        }
        if node.cid == cancel.cid {
            return Some(cancel.when).filter(|when| node.made.seq < when.seq);
        }
        let above = node.above.and_then(|above| self.nodes.get(&above))?;
        if above.root != node.root {
            return None;
        }
        if !goes_on_to(node, cancel) {
            return None;
        }
        let hit = self.hit(above, cancel)?;
        if node.made.seq < cancel.when.seq {
            return Some(cancel.when);
        }
        (node.kind != Kind::Callback && hit.seq <= node.made.seq).then_some(node.made)
    }

    fn hits(&self, node: &Node) -> Vec<When> {
        self.cancels.values().filter_map(|cancel| self.hit(node, cancel)).collect()
    }

    fn check(&self, node: &Node) -> Checked {
        if node.kind == Kind::Sync {
            return self.check_inner(node);
        }
        let never_seen = node.kind == Kind::Member && node.runs.is_empty();
        must(node.ended.len() == usize::from(!never_seen), || "it should have one outcome".to_owned())?;
        let ended = node.ended.first();
        let told = ended.map(|(when, outcome)| (when.at, outcome));
        must(told.is_none_or(|(_, outcome)| *outcome == node.remembered), || {
            "it has another outcome now".to_owned()
        })?;
        let outcome = node.remembered.as_ref().ok_or("it has no outcome")?;
        let at = told.map(|(at, _)| at);
        match node.kind {
            Kind::Group => self.check_group(node, outcome)?,
            _ => self.check_attempts(node, outcome, at)?,
        }
        self.check_callbacks(node, outcome, at)
    }

    /// A synchronous call is recorded with the attempt that it ran in, unless it was dropped with it.
    fn check_inner(&self, node: &Node) -> Checked {
        must(node.runs.len() == 1, || "it should run once".to_owned())?;
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
        must(name == Some(expected) || (name.is_none() && self.cut.is_some()), || {
            format!("it should be {expected}")
        })
    }

    fn check_attempts(&self, node: &Node, outcome: &Outcome, at: Option<u64>) -> Checked {
        let hits = self.hits(node);
        let is_narrow = self.world.is_narrow || node.service == TARGETS[3];
        let mut verdicts = vec![Verdict::Again(node.due)];
        for (index, run) in node.runs.iter().enumerate() {
            let due = |verdict: &Verdict| match verdict {
                Verdict::Again(due) => Some(*due),
                Verdict::End(_) | Verdict::Held => None,
            };
            let due = verdicts.iter().find_map(due).ok_or("it ran again after its end")?;
            let began = run.began.at;
            let in_time = began + SLOP >= due && (is_narrow || began <= due + SLOP);
            must(in_time, || format!("attempt {} is due at {due}", index + 1))?;
            let expires = node.expires.filter(|_| index == 0);
            let is_over = [expires, node.deadline].into_iter().flatten().any(|limit| began > limit + SLOP);
            must(!is_over && !node.is_unreadable, || "it began where it could not".to_owned())?;
            let before = index.checked_sub(1).and_then(|index| node.runs[index].left).map(|(left, _)| left);
            // A worker takes several at once: what it has taken counts as running, and begins told.
            let is_taken = |hit: &When| {
                hit.at == began
                    && hit.seq != node.made.seq
                    && before.is_none_or(|before| before.seq < hit.seq)
            };
            let is_right = hits.iter().all(|hit| hit.seq > run.began.seq || is_taken(hit));
            must(is_right, || "it began after it was cancelled".to_owned())?;
            verdicts = self.judge(node, index, &hits)?;
        }
        let last = node.runs.last().and_then(|run| run.left).map(|(left, _)| left);
        let is_near = |other: u64| at.is_none_or(|at| near(at, other));
        if verdicts.contains(&Verdict::End(outcome.name())) {
            must(last.is_some_and(|last| is_near(last.at)), || {
                "it ended at another time than its attempt".to_owned()
            })?;
        } else {
            let due = verdicts.iter().any(|verdict| !matches!(verdict, Verdict::End(_)));
            let is_right = due
                && match outcome {
                    Outcome::Cancelled(_) => {
                        hits.iter().any(|hit| last.is_none_or(|last| last.seq < hit.seq) && is_near(hit.at))
                            || self.cut_of(node).is_some_and(|cut| is_near(cut.at))
                    }
                    Outcome::TimedOut(_) => node.deadline.is_some_and(is_near),
                    Outcome::Expired(_) => last.is_none() && node.expires.is_some_and(is_near),
                    Outcome::Undecodable(_) => {
                        let due =
                            at.is_none_or(|at| at + SLOP >= node.due && (is_narrow || near(at, node.due)));
                        last.is_none() && node.is_unreadable && due
                    }
                    _ => false,
                };
            must(is_right, || format!("{} instead of {verdicts:?}, with {hits:?}", outcome.name()))?;
        }
        let Some(payload) = outcome.payload() else { return Ok(()) };
        let answer = payload.decode::<Answer>().map_err(|error| error.to_string())?;
        let expected = (node.token, node.runs.len());
        must((answer.token, answer.attempt as usize) == expected, || format!("the answer is of {expected:?}"))
    }

    /// What may follow from an attempt.
    fn judge(&self, node: &Node, index: usize, hits: &[When]) -> Checked<Vec<Verdict>> {
        let Attempt { began, left, .. } = node.runs[index];
        let (left, how) = left.ok_or("an attempt was not left")?;
        let hit = hits.iter().find(|hit| (hit.seq > began.seq || hit.at == began.at) && hit.seq < left.seq);
        let timeout = node.timeout.map(|timeout| began.at + timeout);
        let grace = hit.map(|hit| hit.at + GRACE);
        let limits = [timeout, node.deadline, grace].into_iter().flatten();
        must(limits.min().is_none_or(|limit| left.at <= limit + SLOP), || {
            "it ran over its limit".to_owned()
        })?;
        let again = |name, wait| {
            if index + 1 >= (node.attempts + self.world.more_attempts) as usize {
                return vec![Verdict::End(name)];
            }
            let at = left.at + wait;
            let mut verdicts = Vec::new();
            if node.deadline.is_none_or(|deadline| at < deadline + SLOP) {
                verdicts.push(Verdict::Again(at));
            }
            if node.deadline.is_some_and(|deadline| at + SLOP >= deadline) {
                verdicts.push(Verdict::End("Failed"));
            }
            verdicts
        };
        Ok(match how {
            Some(End::Ok) => vec![Verdict::End("Completed")],
            Some(_) if hit.is_some() => vec![Verdict::End("Cancelled")],
            Some(End::FailForGood) => vec![Verdict::End("Failed")],
            Some(_) if self.interrupts(&node.runs[index]) => vec![Verdict::Held],
            Some(End::RetryAfter(wait)) => again("Failed", wait),
            Some(_) => again("Failed", node.wait),
            None => {
                let is_now = |limit: Option<u64>| limit.is_some_and(|limit| near(limit, left.at));
                let mut verdicts = Vec::new();
                if is_now(self.cut.map(|cut| cut.at)) || is_now(grace) {
                    verdicts.push(Verdict::End("Cancelled"));
                }
                if is_now(timeout) || is_now(node.deadline) {
                    verdicts.extend(match hit {
                        Some(_) => vec![Verdict::End("Cancelled")],
                        None if is_now(node.deadline) => vec![Verdict::End("TimedOut")],
                        None => Vec::new(),
                    });
                    if hit.is_none() && is_now(timeout) {
                        verdicts.extend(again("TimedOut", node.wait));
                    }
                }
                must(!verdicts.is_empty(), || "it was dropped for no reason".to_owned())?;
                verdicts
            }
        })
    }

    /// Each callback that the outcome calls for has run, once, with what it is to be told.
    fn check_callbacks(&self, node: &Node, outcome: &Outcome, at: Option<u64>) -> Checked {
        let is_cut = outcome.error().is_some_and(|error| error.starts_with("the runtime was shut down"));
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
            check_told(node, outcome, callback)?;
        }
        // One that waited may have been cancelled with the tree, or cut off.
        let after = node.runs.last().and_then(|run| run.left).map_or(node.made, |(left, _)| left);
        let swept = |cancel: &Cancel| {
            cancel.with_tree && cancel.when.seq > after.seq && self.hit(node, cancel).is_some()
        };
        let cut = self.cut.is_some_and(|cut| self.world.is_narrow || at.is_none_or(|at| at + SLOP >= cut.at));
        let is_excused = cut || self.cancels.values().any(swept);
        must(expected.is_empty() || is_excused, || format!("{expected:?} did not run"))
    }

    fn check_group(&self, node: &Node, outcome: &Outcome) -> Checked {
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

    fn check_cancel(&self, cancel: &Cancel) -> Checked {
        let node = self.nodes.get(&cancel.cid);
        let Some(answer) = &cancel.answer else { return Ok(()) };
        let Ok(answer) = answer else {
            // A synchronous call is held when the attempt that it ran in has been recorded.
            return must(node.is_none_or(|node| node.kind == Kind::Sync), || "it was held".to_owned());
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
                node.kind == Kind::Group || node.runs.iter().any(runs)
            }
        };
        must(is_right, || format!("the answer does not fit {node:?}"))
    }
}

/// What a callback was told is how its target ended.
fn check_told(node: &Node, outcome: &Outcome, callback: &Node) -> Checked {
    let told = callback.told.as_ref().ok_or("a callback was told nothing")?;
    if let Some(response) = outcome.payload() {
        return must(told == response, || format!("its callback was told {told}"));
    }
    let report = told.decode::<FailureReport>().map_err(|error| error.to_string())?;
    let seen = (report.cid, report.service.as_str(), report.outcome.as_str(), Some(report.error.as_str()));
    let expected = (node.cid, node.service.as_str(), outcome.name(), outcome.error());
    must(seen == expected, || format!("its report says {seen:?}"))?;
    let attempts = node.runs.len() + usize::from(outcome.name() == "Undecodable");
    must(report.attempts as usize == attempts, || format!("its report says {} attempts", report.attempts))?;
    must(token_of(&report) == Some(node.token), || format!("its report repeats {:?}", report.payload))
}

/// Whether a cancel is for what is right below it, too: for a whole tree, or as a member of a group.
fn goes_on_to(node: &Node, cancel: &Cancel) -> bool {
    let is_of_group = || node.kind == Kind::Member && node.above == Some(cancel.cid);
    cancel.with_tree || (cancel.answer == Some(Ok(Cancellation::Requested)) && is_of_group())
}
