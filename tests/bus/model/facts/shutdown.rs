//! What a shutdown interrupts, and what it gives up.

use zato_runtime::Outcome;

use super::node::{Attempt, GRACE, Kind, Node, Restart, SLOP, near};
use super::read::Facts;
use crate::model::script::{End, TARGETS};

impl Facts {
    /// Whether a shutdown interrupted the last attempt of an invocation: it was told, and failed then.
    pub(crate) fn is_interrupted(&self, node: &Node) -> bool {
        node.runs.last().is_some_and(|run| self.interrupts(run))
    }

    pub(crate) fn interrupts(&self, run: &Attempt) -> bool {
        let failed = matches!(run.left, Some((_, Some(End::Fail | End::RetryAfter(_)))));
        let began = self.shutdown.map(|(began, _)| began);
        failed && began.is_some_and(|began| run.told.is_some_and(|told| told.seq > began.seq))
    }

    /// The restart that interrupted an attempt, or cut it off: another follows on it, and it does not count.
    pub(crate) fn restarted(&self, run: &Attempt) -> Option<&Restart> {
        let (left, how) = run.left?;
        let restart =
            self.restarts.iter().find(|restart| restart.began.seq < left.seq && left.seq < restart.up.seq)?;
        let is_interrupted = matches!(how, Some(End::Fail | End::RetryAfter(_)))
            && run.told.is_some_and(|told| told.seq > restart.began.seq);
        // What was left before that had come to its own limit.
        let is_cut = how.is_none() && restart.has_cut() && restart.stopped.at <= left.at + 2;
        (is_interrupted || is_cut).then_some(restart)
    }

    /// Whether that may have happened at `at` which was due at `due`: where there was no bus then, as soon as there was.
    pub(crate) fn is_in_time(&self, at: u64, mut due: u64) -> bool {
        let mut is_near = near(at, due);
        for restart in &self.restarts {
            if restart.stopped.at <= due + SLOP && due <= restart.up.at {
                due = restart.up.at;
                is_near |= near(at, due);
            }
        }
        is_near
    }

    /// Who waited for an outcome when the bus was shut down has heard of it when it was up again.
    pub(super) fn hear_in_time(&mut self) {
        for node in self.nodes.values_mut() {
            let (Some((told, _)), Some(record)) = (node.ended.first_mut(), &node.record) else { continue };
            if self.restarts.iter().any(|restart| near(restart.up.at, told.at)) {
                told.at = told.at.min(self.world.ms(record.ended_at));
            }
        }
    }

    /// Whether a shutdown may have ended an invocation at `at`, or at all: near its limit, or before where it does not wait
    /// for it. One that is interrupted ends with its attempt.
    pub(crate) fn may_be_cut(&self, node: &Node, at: Option<u64>) -> bool {
        let (Some((began, limit)), Some(stopped)) = (self.shutdown, self.stopped) else { return false };
        let is_near = |time: u64| at.is_none_or(|at| near(at, time));
        let left = node.runs.last().and_then(|run| run.left).map(|(left, _)| left.at);
        if self.is_interrupted(node) {
            return left.is_some_and(is_near);
        }
        let is_early = at.is_none_or(|at| began.at <= at + SLOP && at <= stopped.at + SLOP);
        (self.cut.is_some() && (is_near(give_up(began.at, limit)) || is_near(began.at.saturating_add(limit))))
            || (is_early && self.is_held_back(node))
    }

    /// Whether a shutdown drops a handler at this time: near its limit if somebody is told of its end, else at its limit.
    pub(crate) fn drops(&self, node: &Node, at: u64) -> bool {
        let Some((began, limit)) = self.shutdown.filter(|_| self.cut.is_some()) else { return false };
        let is_told = !node.on_failure.is_empty() || matches!(node.kind, Kind::Member | Kind::Step);
        near(at, if is_told { give_up(began.at, limit) } else { began.at.saturating_add(limit) })
    }

    /// Whether a shutdown does not wait for it: it is interrupted, not due before the shutdown gives up, its service is
    /// paused, or it waits for such a one.
    pub(crate) fn is_held_back(&self, node: &Node) -> bool {
        self.is_interrupted(node) || self.is_stuck(node)
    }

    fn is_stuck(&self, node: &Node) -> bool {
        let is_over = node.ended.first().is_some_and(|(_, outcome)| !outcome.as_ref().is_some_and(is_cut));
        if is_over {
            return false;
        }
        let unseen = match node.kind {
            Kind::Chain => self.next_service(node),
            Kind::Group => {
                let unseen = node.members.iter().filter(|token| !self.cid_of.contains_key(token));
                let service = |token| Some(TARGETS[self.asked.get(token)?.call.target]);
                unseen.filter_map(service).find(|service| self.was_paused(service))
            }
            _ => None,
        };
        (self.was_paused(unseen.unwrap_or(&node.service)) && !self.is_dropped(node))
            || self.is_due_too_late(node)
            || self.parts(node).any(|part| self.is_held_back(part))
            || self.ahead(node).any(|other| self.is_stuck(other))
    }

    /// Whether its next attempt is not due before the shutdown gives up.
    fn is_due_too_late(&self, node: &Node) -> bool {
        let due = match node.runs.last().map(|run| run.left) {
            None => node.due,
            Some(Some((left, Some(End::RetryAfter(wait))))) => left.at + wait,
            Some(Some((left, _))) => left.at + node.wait,
            Some(None) => return false,
        };
        self.shutdown.is_some_and(|(began, limit)| due + SLOP >= give_up(began.at, limit))
    }

    /// Whether the shutdown has dropped its last attempt, which it does at its limit alone.
    fn is_dropped(&self, node: &Node) -> bool {
        let left = node.runs.last().and_then(|run| run.left);
        left.is_some_and(|(left, how)| how.is_none() && self.drops(node, left.at))
    }

    /// Of a chain: the service of the step that follows on those that are known, if they have completed.
    fn next_service(&self, chain: &Node) -> Option<&'static str> {
        let has_left =
            |step: &Node| step.runs.last().is_some_and(|run| matches!(run.left, Some((_, Some(End::Ok)))));
        let is_open = self.parts(chain).last().is_some_and(|step| !has_left(step));
        chain.services.get(chain.steps.len()).copied().filter(|_| !is_open)
    }

    /// Whether a service was paused when the shutdown ended.
    pub(crate) fn is_paused(&self, service: &str) -> bool {
        self.pauses.get(service).and_then(|pauses| pauses.last()).is_some_and(|(_, to)| to.is_none())
    }

    /// Whether a service was paused at some time of the shutdown.
    fn was_paused(&self, service: &str) -> bool {
        let began = self.shutdown.map_or(u64::MAX, |(began, _)| began.at);
        let mut pauses = self.pauses.get(service).into_iter().flatten();
        pauses.any(|(_, to)| to.is_none_or(|to| began <= to.at))
    }

    /// The members of a group, or the steps of a chain, that are known.
    pub(crate) fn parts<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        let of = |token: &u64| self.cid_of.get(token);
        let members = node.members.iter().filter(|_| node.kind == Kind::Group).filter_map(of);
        members.chain(&node.steps).filter_map(|cid| self.nodes.get(cid))
    }
}

/// Whether the shutdown has ended it, or the step that ended it.
pub(crate) fn is_cut(outcome: &Outcome) -> bool {
    outcome.error().is_some_and(|error| error.contains("the runtime was shut down before it ended"))
}

/// When a shutdown that begins at `began` ends what is left.
pub(crate) fn give_up(began: u64, limit: u64) -> u64 {
    began.saturating_add(limit) - (GRACE.min(limit) / 5).min(1_000)
}
