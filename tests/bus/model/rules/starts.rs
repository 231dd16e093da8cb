//! What may hold up a start, and what must not: keys, pauses and rates.

use zato_runtime::Outcome;

use crate::model::facts::{Checked, Facts, Kind, Node, Restart, SLOP, When, must};
use crate::model::script::RATE;

impl Facts {
    /// What was accepted before it under its key.
    pub(crate) fn ahead<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        self.may_be_ahead(node).filter(|other| !self.may_be_either(node, other))
    }

    /// What was accepted before it under its key, or may have been.
    pub(crate) fn may_be_ahead<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        let mine = move |other: &&Node| {
            node.key.is_some()
                && (other.key, &other.service) == (node.key, &node.service)
                && other.cid != node.cid
                && (other.made.seq < node.made.seq || self.may_be_either(node, other))
        };
        self.nodes.values().filter(mine)
    }

    /// Whether it is not known which of two was accepted first. Who calls from outside may have to wait, for its turn or
    /// for what it has run again to be read, and handlers make their calls meanwhile.
    fn may_be_either(&self, one: &Node, other: &Node) -> bool {
        let is_from_outside = |node: &Node| node.again_of.is_some() || node.parent.is_none();
        self.world.is_durable
            && is_from_outside(one) != is_from_outside(other)
            && one.made.at == other.made.at
    }

    /// From when on it could start that is due, as far as the log before `until` says; never, if it is paused to the
    /// end. It waits for its key once: that stays with it through its attempts.
    pub(super) fn ready(&self, node: &Node, index: usize, due: u64, until: When) -> u64 {
        if node.service == RATE.0 && self.may_have_taken_unseen() {
            return u64::MAX;
        }
        let waits = index == 0 && !self.world.ignores_keys;
        let ended = |other: &Node| other.ended.first().map(|(when, _)| when.at);
        let free = self.may_be_ahead(node).filter(|_| waits).filter_map(ended).max();
        let resumed = self.resumed(&node.service, due.max(free.unwrap_or_default()));
        self.resumed(&node.service, resumed.max(self.allowed(node, until, true)))
    }

    /// What a worker has taken, and what is on its way to the disk, may be cancelled before its first step: it has taken of
    /// the rate then, and is not seen.
    fn may_have_taken_unseen(&self) -> bool {
        let mut rated = self.nodes.values().filter(|node| node.service == RATE.0);
        let is_cancelled = |node: &Node| {
            let told = node.ended.iter().filter_map(|(_, outcome)| outcome.as_ref());
            let mut ends = told.chain(&node.remembered);
            node.runs.is_empty() && ends.any(|outcome| matches!(outcome, Outcome::Cancelled(_)))
        };
        if self.world.is_durable { !self.cancels.is_empty() } else { rated.any(is_cancelled) }
    }

    /// When a service starts again what could start at this time.
    pub(super) fn resumed(&self, service: &str, mut at: u64) -> u64 {
        // Nothing starts while it is shut down, or down.
        let restarts = self.restarts.iter().map(|restart| (restart.began, Some(restart.up)));
        let pauses = self.pauses.get(service).into_iter().flatten().copied();
        let mut closed: Vec<_> = pauses.chain(restarts).collect();
        closed.sort_by_key(|(from, _)| from.seq);
        for (from, to) in closed {
            if from.at <= at.saturating_add(SLOP) && to.is_none_or(|to| at <= to.at) {
                at = to.map_or(u64::MAX, |to| to.at);
            }
        }
        at
    }

    /// When the rate allows one more start after those of the log before `until`: no stretch of time may have more than
    /// the burst, and so many more as come with time. The last start of an earlier process has used up the burst. What
    /// cannot read its request starts too, unseen.
    fn allowed(&self, node: &Node, until: When, with_unseen: bool) -> u64 {
        let (service, burst, each) = RATE;
        if node.service != service {
            return 0;
        }
        let is_before = |restart: &&Restart| (restart.up.at, restart.up.seq) < (until.at, until.seq);
        let restart = self.restarts.iter().rfind(is_before);
        let since = restart.map(|restart| restart.up);
        let others = self.nodes.values().filter(|other| other.service == service && other.kind != Kind::Sync);
        let starts = others
            .flat_map(|other| {
                let told = other.ended.first().map(|(when, _)| when.at);
                let ended = told.or(other.record.as_ref().map(|record| self.world.ms(record.ended_at)));
                let unseen = || Some(When { seq: 0, at: ended? });
                let is_unseen = with_unseen && other.cid != node.cid && other.is_undecodable();
                other.runs.iter().map(|run| run.began).chain(is_unseen.then(unseen).flatten())
            })
            .filter(|start| (start.at, start.seq) < (until.at, until.seq));
        let is_earlier = |start: &When| {
            since.is_some_and(|since| since.at > start.at || since.at == start.at && since.seq > start.seq)
        };
        let (earlier, own): (Vec<_>, Vec<_>) = starts.partition(is_earlier);
        let last = earlier.iter().map(|start| start.at).max();
        let used_up = last.into_iter().flat_map(|at| (0..burst).map(move |_| at));
        let mut starts: Vec<_> = used_up.chain(own.iter().map(|start| start.at)).collect();
        starts.sort_unstable();
        let count = starts.len() as u64;
        let after = |(at, index): (&u64, u64)| {
            let more = (count - index + 1).saturating_sub(burst);
            if more == 0 { 0 } else { at + more * each }
        };
        let allowed = starts.iter().zip(0..).map(after).max().unwrap_or_default();
        // The earlier process may have recorded a start as late as its end, and have ended before the handler began.
        let unbegun = restart.map_or(0, |restart| restart.stopped.at + (own.len() as u64 + 1) * each);
        if with_unseen { allowed.max(unbegun) } else { allowed }
    }

    /// Nothing starts that is held up.
    pub(super) fn check_start(&self, node: &Node, index: usize) -> Checked {
        let began = node.runs[index].began;
        for other in self.ahead(node) {
            let has_left =
                other.runs.iter().all(|run| run.left.is_some_and(|(left, _)| left.seq < began.seq));
            let has_ended = other.ended.iter().all(|(ended, _)| ended.at <= began.at);
            must(has_left && has_ended, || format!("it began before {} of its key had ended", other.cid))?;
        }
        let pauses = self.pauses.get(&*node.service).into_iter().flatten();
        let is_paused = pauses
            .filter(|(from, to)| from.seq < began.seq && to.is_none_or(|to| began.seq < to.seq))
            // What has been handed out on a disk begins.
            .filter(|(from, _)| !self.world.is_durable || from.at < began.at)
            .count();
        must(is_paused == 0, || "it began while its service was paused".to_owned())?;
        // What has been handed out begins.
        let closes = |restart: &Restart| {
            (restart.began.seq..restart.up.seq).contains(&began.seq) && restart.began.at < began.at
        };
        let is_closed = self.restarts.iter().any(closes);
        must(!is_closed, || "it began after a shutdown had begun".to_owned())?;
        let allowed = self.allowed(node, began, false);
        must(began.at + SLOP >= allowed, || format!("its rate allows it at {allowed}"))
    }
}
