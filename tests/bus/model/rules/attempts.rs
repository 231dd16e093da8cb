//! When attempts are made, and what may follow from each.

use zato_runtime::Outcome;

use crate::model::facts::{Attempt, Checked, Facts, GRACE, Node, SLOP, When, is_cut, must, near};
use crate::model::script::{Answer, End, TARGETS};

/// What follows from an attempt.
#[derive(Debug, PartialEq)]
enum Verdict {
    End(&'static str),
    /// Another attempt at this time.
    Again(u64),
    /// Another attempt, but not before the next start.
    Held,
}

impl Facts {
    pub(super) fn check_attempts(&self, node: &Node, outcome: &Outcome, at: Option<u64>) -> Checked {
        let hits = self.hits(node);
        let is_narrow = self.world.is_narrow || node.service == TARGETS[3];
        let due = |verdict: &Verdict| match verdict {
            Verdict::Again(due) => Some(*due),
            Verdict::End(_) | Verdict::Held => None,
        };
        let mut verdicts = vec![Verdict::Again(node.due)];
        for (index, run) in node.runs.iter().enumerate() {
            let due = verdicts.iter().find_map(due).ok_or("it ran again after its end")?;
            let began = run.began.at;
            self.check_start(node, index)?;
            let ready = self.ready(node, index, due, run.began);
            let in_time = began + SLOP >= due && (is_narrow || began <= ready.saturating_add(SLOP));
            must(in_time, || format!("attempt {} is due at {due}, and could start at {ready}", index + 1))?;
            let expires = node.expires.filter(|_| index == 0);
            let is_over = [expires, node.deadline].into_iter().flatten().any(|limit| began > limit + SLOP);
            must(!is_over && !node.is_unreadable, || "it began where it could not".to_owned())?;
            let before = index.checked_sub(1).and_then(|index| node.runs[index].left).map(|(left, _)| left);
            // A worker takes several at once: what it has taken counts as running, and begins told.
            let is_taken = |hit: &When| {
                let is_fresh = hit.seq != node.made.seq && before.is_none_or(|before| before.seq < hit.seq);
                hit.at == began && (is_fresh || self.world.is_durable)
            };
            let is_right =
                hits.iter().all(|hit| hit.seq > run.began.seq || is_taken(hit) || self.may_miss(node, hit));
            must(is_right, || "it began after it was cancelled".to_owned())?;
            verdicts = self.judge(node, index, &hits)?;
        }
        let restarted = node.runs.last().and_then(|run| self.restarted(run));
        let left = node.runs.last().and_then(|run| run.left).map(|(left, _)| left);
        let last = restarted.map(|restart| restart.up).or(left);
        let is_near = |other: u64| at.is_none_or(|at| self.is_in_time(at, other));
        let ends_so = verdicts.contains(&Verdict::End(outcome.name()));
        if !ends_so || ![last, left].into_iter().flatten().any(|last| is_near(last.at)) {
            let is_due = verdicts.iter().any(|verdict| !matches!(verdict, Verdict::End(_)));
            let is_right = is_due
                && match outcome {
                    Outcome::Cancelled(_) => {
                        // One that is interrupted waits from then on, also while its process ends.
                        hits.iter().any(|hit| left.is_none_or(|left| left.seq < hit.seq) && is_near(hit.at))
                            || (is_cut(outcome) && self.may_be_cut(node, at))
                    }
                    Outcome::TimedOut(_) => node.deadline.is_some_and(is_near),
                    Outcome::Expired(_) => last.is_none() && node.expires.is_some_and(is_near),
                    Outcome::Undecodable(_) => {
                        last.is_none() && node.is_unreadable && at.is_none_or(|at| at + SLOP >= node.due)
                    }
                    _ => false,
                };
            must(is_right || !ends_so, || "it ended at another time than its attempt".to_owned())?;
            must(is_right, || format!("{} instead of {verdicts:?}, with {hits:?}", outcome.name()))?;
            // It would have started, had nothing held it up.
            let due = verdicts.iter().find_map(due);
            if let (Some(due), Some(at), false) = (due, at, is_narrow) {
                let ready = self.ready(node, node.runs.len(), due, When { seq: usize::MAX, at });
                must(at <= ready.saturating_add(SLOP), || format!("it could start at {ready}"))?;
            }
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
        let mut during =
            hits.iter().filter(|hit| (hit.seq > began.seq || hit.at == began.at) && hit.seq < left.seq);
        let is_after_grace = during.clone().any(|hit| near(hit.at + GRACE, left.at));
        let hit = during.next();
        let timeout = node.timeout.map(|timeout| began.at + timeout);
        let strict = hit.filter(|hit| !self.may_miss(node, hit)).map(|hit| hit.at + GRACE);
        let limits = [timeout, node.deadline, strict].into_iter().flatten();
        must(limits.min().is_none_or(|limit| left.at <= limit + SLOP), || {
            "it ran over its limit".to_owned()
        })?;
        let again = |name, wait| {
            let uncounted = node.runs[..index].iter().filter(|run| self.restarted(run).is_some()).count();
            if index + 1 - uncounted >= (node.attempts + self.world.more_attempts) as usize {
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
        // It may not have come to the attempt in time.
        let is_tie =
            self.world.is_durable && hit.is_some_and(|hit| hit.at == left.at || self.may_miss(node, hit));
        let cancelled = |others: Vec<Verdict>| {
            let others = others.into_iter().filter(|_| is_tie);
            others.chain(hit.map(|_| Verdict::End("Cancelled"))).collect()
        };
        let restart = self.restarted(&node.runs[index]);
        Ok(match how {
            Some(End::Ok) => vec![Verdict::End("Completed")],
            Some(how) => {
                let verdicts = match how {
                    End::FailForGood => vec![Verdict::End("Failed")],
                    // Nothing is kept for a next start, and there is no time for another attempt.
                    _ if self.interrupts(&node.runs[index]) && !self.world.is_durable => {
                        vec![Verdict::End("Cancelled")]
                    }
                    _ if self.interrupts(&node.runs[index]) => vec![Verdict::Held],
                    _ if let Some(restart) = restart => vec![Verdict::Again(restart.up.at)],
                    End::RetryAfter(wait) => again("Failed", wait),
                    _ => again("Failed", node.wait),
                };
                if hit.is_some() { cancelled(verdicts) } else { verdicts }
            }
            None if let Some(restart) = restart => {
                let is_cancelled = hit.map(|_| Verdict::End("Cancelled"));
                let again = strict.is_none().then_some(Verdict::Again(restart.up.at));
                is_cancelled.into_iter().chain(again).collect()
            }
            None => {
                let is_now = |limit: Option<u64>| limit.is_some_and(|limit| near(limit, left.at));
                let mut verdicts = Vec::new();
                if self.drops(node, left.at) || is_after_grace {
                    verdicts.push(Verdict::End("Cancelled"));
                }
                if is_now(timeout) || is_now(node.deadline) {
                    verdicts.extend(hit.map(|_| Verdict::End("Cancelled")));
                    let is_late = strict.is_none() || is_tie;
                    if is_late && is_now(node.deadline) {
                        verdicts.push(Verdict::End("TimedOut"));
                    }
                    if is_late && is_now(timeout) {
                        verdicts.extend(again("TimedOut", node.wait));
                    }
                }
                must(!verdicts.is_empty(), || "it was dropped for no reason".to_owned())?;
                verdicts
            }
        })
    }
}
