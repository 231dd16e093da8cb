//! Everything has one outcome, and it is one that it can have.

use super::fault::Rule;
use super::losses::limit;
use super::rows::{INSIDE, Row, STEP};
use super::world::{Faults, World};
use crate::script::{self, POISON, WORKERS};

/// By how much the clock of the machine may be put right between two looks at it, in nanoseconds.
const SLACK: i64 = 2_000_000;

/// What a shutdown says of what it ends.
const SHUT_DOWN: &str = "the runtime was shut down before it ended, and a synchronous call";

impl World<'_> {
    /// It has ended.
    pub(super) fn check_end(row: &Row, faults: &mut Faults) {
        let has_ended = row.state >= 3 && row.outcome.is_some();
        faults.must(Rule::Outcome, has_ended, || format!("it has not ended: {}", row.name()));
    }

    /// What had ended is as it was.
    pub(super) fn check_stays(&self, end: &World<'_>, faults: &mut Faults) {
        let stands =
            |row: &Row| (row.outcome, row.ended_at, row.attempts, row.response.clone(), row.error.clone());
        for row in self.rows.iter().filter(|row| row.outcome.is_some()) {
            let stays = end.find(&row.cid).is_some_and(|end| stands(end) == stands(row));
            faults
                .must(Rule::Outcome, stays, || format!("it has another outcome in the end: {}", row.name()));
        }
    }

    /// What belongs to an end is there, and nothing else.
    pub(super) fn check_outcome(&self, row: &Row, faults: &mut Faults) {
        let has_ended = row.state >= 3 && row.ended_at.is_some();
        faults.must(Rule::Outcome, has_ended, || format!("it has an outcome and no end: {}", row.name()));
        let is_dead = !row.is_completed() && !matches!(row.channel, INSIDE | STEP);
        faults.must(Rule::Outcome, (row.state == 4) == is_dead, || {
            format!("{} is a dead letter, or is none: {}", row.state, row.name())
        });
        let has_what_belongs =
            row.response.is_some() == row.is_completed() && row.error.is_none() == row.is_completed();
        faults.must(Rule::Outcome, has_what_belongs, || format!("its response or error: {}", row.name()));
        let is_again = row.again.as_ref().is_none_or(|again| {
            let row_again = self.find(again);
            is_dead && row_again.is_some_and(|again| again.again_of() == Some(&row.cid))
        });
        faults
            .must(Rule::Outcome, is_again, || format!("it is run again as {:?}: {}", row.again, row.name()));
    }

    /// Nothing comes before its time.
    pub(super) fn check_times(row: &Row, faults: &mut Faults) {
        let starts = row.due.is_none_or(|due| row.started_at.is_none_or(|started| started + SLACK >= due));
        faults.must(Rule::Times, starts, || format!("it started before it was due: {}", row.name()));
        let limit = match row.outcome() {
            "Expired" => row.options["expires"]["at"].as_i64(),
            "TimedOut" if row.options["timeout"].is_null() => row.deadline,
            _ => None,
        };
        let ends = limit.is_none_or(|limit| row.ended_at.is_some_and(|ended| ended + SLACK >= limit));
        faults.must(Rule::Times, ends, || format!("it ended before its time: {}", row.name()));
    }

    /// What ends well as its script has it ends well, unless something may have come between.
    pub(super) fn check_allowed(&self, row: &Row, faults: &mut Faults) {
        let has_timeout = row.options["timeout"].is_u64() || row.deadline.is_some();
        let is_allowed = match row.outcome() {
            "Completed" => !must_fail(row),
            "Failed" => {
                // A synchronous call inside another asks in the name of the one that has the attempt.
                let asks = if row.channel == INSIDE { self.made_by(row) } else { None };
                let is_refused = self.refused.contains(asks.as_ref().unwrap_or(&row.cid));
                is_refused || row.deadline.is_some() || self.can_fail(row)
            }
            "TimedOut" => has_timeout || self.has_timeout_below(row),
            // It concerns the first start alone.
            "Expired" => row.options["expires"].is_object() && row.attempts == 0,
            // A shutdown ends what no other process runs.
            "Cancelled" if row.channel == INSIDE && row.parent.is_none() => {
                let is_shut_down = || row.error.as_ref().is_some_and(|error| error.starts_with(SHUT_DOWN));
                self.cancelled.contains(&row.root) || is_shut_down()
            }
            "Cancelled" => self.cancelled.contains(&row.root),
            // Whether it had begun is looked at with all losses. A chain ends as its step does.
            "Lost" if row.is_group() => self.members(&row.cid).any(|step| step.outcome() == "Lost"),
            "Lost" => row.losses == limit(row),
            _ => false,
        };
        faults.must(Rule::Allowed, is_allowed, || {
            format!("it should not end so, after {} losses: {} {:?}", row.losses, row.name(), row.error)
        });
        if let (true, Some((_, response))) = (WORKERS.contains(&&*row.service), &row.response) {
            let response: serde_json::Value = serde_json::from_slice(response).unwrap_or_default();
            faults.must(Rule::Outcome, response["id"].as_str() == row.id().as_deref(), || {
                format!("its response is {response}: {}", row.name())
            });
        }
    }

    fn can_fail(&self, row: &Row) -> bool {
        let request = &row.request;
        match row.service.as_str() {
            script::STEP => request["fails_at"].is_u64() && request["fails_at"] == request["steps"],
            service if WORKERS.contains(&service) => {
                request["ends"] != serde_json::Value::Null && request["ends"] != "well"
            }
            _ => row.is_group() && self.members(&row.cid).any(|step| !step.is_completed()),
        }
    }

    /// A chain ends as its steps do.
    fn has_timeout_below(&self, row: &Row) -> bool {
        row.is_group() && self.members(&row.cid).any(|step| step.deadline.is_some())
    }
}

fn must_fail(row: &Row) -> bool {
    let ends = &row.request["ends"];
    let fails_always =
        *ends == "fails_for_good" || ends["fails_until"].as_u64().is_some_and(|until| until > 1_000);
    row.service == POISON || fails_always && WORKERS.contains(&&*row.service)
}
