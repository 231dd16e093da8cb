//! A group ends when its members have, with a row for each; a chain ends as its last step does.

use serde_json::Value;

use super::fault::Rule;
use super::rows::{CHAIN, Row};
use super::world::{Faults, World};

impl World<'_> {
    pub(super) fn check_group(&self, row: &Row, faults: &mut Faults) {
        if !row.is_group() {
            return;
        }
        let checked = match row.channel {
            _ if row.outcome.is_none() => self.check_open(row),
            CHAIN => self.check_chain(row),
            _ => self.check_members(row),
        };
        if let Err(fault) = checked {
            faults.must(Rule::Groups, false, || format!("{fault}: {}", row.name()));
        }
    }

    /// One that has not ended waits for a member, or for the last step.
    fn check_open(&self, group: &Row) -> Result<(), String> {
        let mut left = self.members(&group.cid).filter(|member| member.outcome.is_none());
        must(left.next().is_some(), "all its members have ended")?;
        must(group.channel != CHAIN || left.next().is_none(), "it makes several steps at once")
    }

    fn check_members(&self, group: &Row) -> Result<(), String> {
        let mut members: Vec<_> = self.members(&group.cid).collect();
        members.sort_by_key(|member| member.slot.as_ref().map(|slot| slot.1));
        let places = members.iter().filter_map(|member| Some(member.slot.as_ref()?.1));
        must(places.eq(0..i64::try_from(members.len()).unwrap_or_default()), "its places are not filled")?;
        let last = members.iter().filter_map(|member| member.ended_at).max();
        must(members.iter().all(|member| member.ended_at.is_some()), "a member has not ended")?;
        must(group.is_completed() && group.ended_at >= last, "it did not end with its members")?;
        let rows: Vec<Value> = group
            .response
            .as_ref()
            .and_then(|(_, rows)| serde_json::from_slice(rows).ok())
            .ok_or("it has no rows")?;
        must(rows.len() == members.len(), "it has another number of rows")?;
        members.iter().zip(&rows).try_for_each(|(member, row)| {
            must(is_row_of(row, member), &format!("the row {row} is not that of {}", member.name()))
        })
    }

    fn check_chain(&self, chain: &Row) -> Result<(), String> {
        let steps: Vec<_> = self.members(&chain.cid).collect();
        let services: Vec<_> =
            chain.options["steps"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        must(steps.first().is_some_and(|first| first.payload == chain.payload), "its first step is another")?;
        must(steps.len() <= services.len(), "it has too many steps")?;
        for (step, service) in steps.iter().zip(&services) {
            must(step.service == *service, &format!("a step is {}", step.name()))?;
        }
        for (before, step) in steps.iter().zip(steps.iter().skip(1)) {
            must(before.is_completed(), &format!("it goes on after {}", before.name()))?;
            must(
                before.response.as_ref() == Some(&step.payload),
                &format!("{} has not its response", step.name()),
            )?;
        }
        let last = steps.last().ok_or("it has no steps")?;
        must(steps.len() == services.len() || !last.is_completed(), "it ended before its last step")?;
        let ends = |row: &Row| (row.outcome, row.response.clone(), row.ended_at, row.attempts);
        must(ends(chain) == ends(last), &format!("it did not end as {}", last.name()))?;
        let tells = match (&chain.error, &last.error) {
            (Some(told), Some(error)) => told.contains(&last.cid) && told.ends_with(error.as_str()),
            (told, error) => told.is_none() && error.is_none(),
        };
        must(tells, &format!("its error is {:?}", chain.error))
    }
}

fn must(holds: bool, fault: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault.to_owned()) }
}

/// Whether a row of a fan-in tells how this member ended.
fn is_row_of(row: &Value, member: &Row) -> bool {
    let response =
        member.response.as_ref().map(|(_, bytes)| serde_json::from_slice(bytes).unwrap_or(Value::Null));
    let tells = match response {
        Some(response) => row["response"] == response,
        None => row["outcome"] == member.outcome() && row["error"].as_str() == member.error.as_deref(),
    };
    tells
        && row["cid"] == member.cid
        && row["service"] == member.service
        && row["ok"] == member.is_completed()
        && row["attempts"] == member.attempts
}
