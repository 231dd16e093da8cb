//! The lines of a run, and what came of each: a line has failed if anything that followed from it has.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use zato_core::Cid;

use crate::base::format::{grouped, one_line};
use crate::record::Ended;

/// The most failed lines that are listed as text.
pub(super) const LISTED: usize = 10;

/// The most failures that are kept of one line.
const OF_ONE: usize = 10;

/// The lines that are under way, and those that have failed.
#[derive(Default)]
pub(super) struct LineResults {
    /// By root, the causal trees that have not ended, and those whose line is not known yet.
    trees: HashMap<Cid, Tree>,
    /// The failed lines that are kept, by number.
    failed: BTreeMap<u64, Vec<Failure>>,
    /// The number of lines that have failed.
    failed_count: u64,
    /// The number of lines that have ended, with everything that followed.
    ended_count: u64,
    /// Whether every failed line is kept, or only as many as are listed.
    keeps_all: bool,
}

#[derive(Default)]
struct Tree {
    line: Option<u64>,
    /// The number of its invocations that have not ended.
    live: u64,
    failures: Vec<Failure>,
    /// Whether a handler started this tree, so that it has no line.
    has_no_line: bool,
}

/// An invocation that failed, or a line that became none.
pub(super) struct Failure {
    invocation: Option<(Cid, String)>,
    outcome: &'static str,
    error: String,
}

impl LineResults {
    pub(super) fn new(keeps_all: bool) -> Self {
        Self { keeps_all, ..Self::default() }
    }

    /// The number of lines that have ended, with everything that followed.
    pub(super) fn ended(&self) -> u64 {
        self.ended_count
    }

    pub(super) fn entering(&mut self, root: Cid) {
        self.trees.entry(root).or_default().live += 1;
    }

    pub(super) fn refused(&mut self, root: Cid) {
        let Some(tree) = self.trees.get_mut(&root) else { return };
        tree.live = tree.live.saturating_sub(1);
        if tree.live == 0 && tree.line.is_none() {
            // It may still enter in another way.
            self.trees.remove(&root);
        } else {
            self.end_if_over(root);
        }
    }

    pub(super) fn ended_one(&mut self, ended: &Ended) {
        let invocation = &ended.invocation;
        let tree = self.trees.entry(invocation.root).or_default();
        tree.live = tree.live.saturating_sub(1);
        tree.has_no_line |= invocation.cid == invocation.root && invocation.caller.is_some();
        if !ended.outcome.is_completed() && tree.failures.len() < OF_ONE {
            tree.failures.push(Failure::of(ended));
        }
        self.end_if_over(invocation.root);
    }

    /// A line became the invocation with this CID.
    pub(super) fn accepted(&mut self, line: u64, cid: Cid) {
        self.trees.entry(cid).or_default().line = Some(line);
        self.end_if_over(cid);
    }

    /// A line failed before it became an invocation.
    pub(super) fn refused_line(&mut self, line: u64, error: &str) {
        self.ended_count += 1;
        self.fail(line, vec![Failure { invocation: None, outcome: "Refused", error: error.to_owned() }]);
    }

    fn end_if_over(&mut self, root: Cid) {
        let is_over = |tree: &Tree| tree.live == 0 && (tree.line.is_some() || tree.has_no_line);
        if !self.trees.get(&root).is_some_and(is_over) {
            return;
        }
        if let Some(Tree { line: Some(line), failures, .. }) = self.trees.remove(&root) {
            self.ended_count += 1;
            if !failures.is_empty() {
                self.fail(line, failures);
            }
        }
    }

    fn fail(&mut self, line: u64, failures: Vec<Failure>) {
        self.failed_count += 1;
        self.failed.insert(line, failures);
        if !self.keeps_all && self.failed.len() > LISTED {
            self.failed.pop_last();
        }
    }

    /// The first failed lines of this file as text, and the number of the others.
    pub(super) fn listed(&self, file: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (line, failures) in self.failed.iter().take(LISTED) {
            let Some(first) = failures.first() else { continue };
            let more = match failures.len() {
                1 => String::new(),
                more => format!("; and {} more", more - 1),
            };
            lines.push(format!("{file}:{line}: {first}{more}"));
        }
        let others = self.failed_count.saturating_sub(lines.len() as u64);
        if others > 0 {
            let others = grouped(usize::try_from(others).unwrap_or(usize::MAX));
            lines.push(format!("and {others} more failed lines; `--json` lists all of them"));
        }
        lines
    }

    /// The failed lines that are kept as a value.
    pub(super) fn value(&self) -> Value {
        let lines = self.failed.iter().map(|(line, failures)| {
            let failures: Vec<_> = failures.iter().map(Failure::value).collect();
            json!({ "line": line, "failures": failures })
        });
        lines.collect()
    }
}

impl Failure {
    pub(super) fn of(ended: &Ended) -> Self {
        Self {
            invocation: Some((ended.invocation.cid, ended.invocation.service.to_string())),
            outcome: ended.outcome.name(),
            error: ended.outcome.error().map(one_line).unwrap_or_default(),
        }
    }

    fn value(&self) -> Value {
        let (cid, service) = self.invocation.as_ref().map(|(cid, service)| (cid, service)).unzip();
        json!({ "cid": cid, "service": service, "outcome": self.outcome, "error": self.error })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.invocation {
            Some((cid, service)) => write!(f, "{service} {}: {} ({cid})", self.outcome, self.error),
            None => f.write_str(&self.error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use zato_core::{Channel, Ending, Invocation, Outcome, Payload, ServiceName};

    use super::*;
    use crate::base::cid::mint;

    fn ended(root: Cid, cid: Cid, outcome: Outcome) -> Ended {
        let (service, at) = (ServiceName::linked("a"), SystemTime::UNIX_EPOCH.into());
        let mut invocation = Invocation::root(cid, service, Payload::empty(), Channel::InvokeAsync);
        invocation.root = root;
        let invocation = Arc::new(invocation);
        Ended { invocation, outcome, attempts: 1, started_at: Some(at), ended_at: at, before: None }
    }

    fn failed() -> Outcome {
        Outcome::Failed(Ending::new("no".to_owned(), true))
    }

    #[test]
    fn a_line_fails_with_what_follows_from_it_and_ends_with_the_last_of_that() {
        let mut lines = LineResults::new(false);
        let (root, callback) = (mint(None), mint(None));
        lines.entering(root);
        lines.accepted(7, root);
        lines.entering(root);
        lines.ended_one(&ended(root, root, Outcome::Completed(Payload::empty())));
        assert_eq!((lines.ended(), lines.listed("f").len()), (0, 0));
        lines.ended_one(&ended(root, callback, failed()));
        assert_eq!((lines.ended(), lines.trees.len()), (1, 0));
        assert_eq!(lines.listed("f"), [format!("f:7: a Failed: no ({callback})")]);
    }

    #[test]
    fn an_end_may_come_before_its_line_is_known() {
        let mut lines = LineResults::new(true);
        let root = mint(None);
        lines.entering(root);
        lines.ended_one(&ended(root, root, failed()));
        assert_eq!(lines.ended(), 0);
        lines.accepted(3, root);
        assert_eq!((lines.ended(), lines.trees.len()), (1, 0));
        assert_eq!(lines.value()[0]["line"], 3);
        assert_eq!(lines.value()[0]["failures"][0]["error"], "no");
    }

    #[test]
    fn the_first_lines_are_kept_and_the_others_counted() {
        for (keeps_all, kept) in [(false, LISTED), (true, 25)] {
            let mut lines = LineResults::new(keeps_all);
            for line in (1..=25).rev() {
                lines.refused_line(line, "too large");
            }
            assert_eq!(lines.value().as_array().map(Vec::len), Some(kept));
            let listed = lines.listed("f");
            assert_eq!((&*listed[0], listed.len()), ("f:1: too large", LISTED + 1));
            assert!(listed[LISTED].starts_with("and 15 more"), "{listed:?}");
        }
    }
}
