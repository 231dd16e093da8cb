//! Who it is that runs under a CID that no call has returned.

use serde_json::Value;
use zato_core::{Channel, Payload};
use zato_runtime::Cid;

use super::node::{Checked, Kind, Node, When, must};
use super::read::Facts;
use crate::model::log::{How, Run};
use crate::model::script::{Answer, CONVENTION, EACH, REPLIES, REPORTS, Request, requested, step_of};

impl Facts {
    /// Who it is that runs under a CID that no call has returned.
    pub(super) fn found(&self, when: When, run: &Run) -> Checked<Node> {
        if let Some(of) = run.in_reply_to {
            let of = self.nodes.get(&of).ok_or("it answers what nobody asked for")?;
            let mut node = self.node(Kind::Callback, run.cid, Some(of.cid), (0, when), None);
            node.is_of(&run.service);
            node.told = Some(run.payload.clone());
            node.deadline = None;
            if REPLIES.contains(&&*run.service) || run.service == CONVENTION[1] {
                node.token = answered(&run.payload)?;
            }
            return Ok(node);
        }
        if run.channel == Channel::ChainStep {
            return self.step(run);
        }
        let token = run.payload.decode::<Request>().map_err(|error| error.to_string())?.token;
        let asked = self.asked.get(&token).ok_or("nobody asked for it")?;
        match asked.how {
            How::Async => Err(format!("its CID should be {:?}", self.cid_of.get(&token))),
            How::Sync => Ok(self.node(Kind::Sync, run.cid, asked.by, (token, asked.when), Some(&asked.call))),
            How::Member => self.member(token, run.cid),
            How::Step => Err("it should be the step of a chain".to_owned()),
        }
    }

    /// The step of a chain that is found by what it runs on: the first by its request, the others by the response
    /// of the one before.
    fn step(&self, run: &Run) -> Checked<Node> {
        let request = run.payload.decode::<Request>().ok().map(|request| request.token);
        let token = match request {
            Some(token) => token,
            None => answered(&run.payload)?,
        };
        let chain = self.chain_of.get(&token).and_then(|chain| self.nodes.get(chain));
        let chain = chain.ok_or("a step of no chain")?;
        must(request.is_some() == chain.steps.is_empty(), || "it is not what comes next".to_owned())?;
        let told = request.is_none().then(|| run.payload.clone());
        Ok(Node { told, ..self.next_step(chain, run.cid)? })
    }

    /// The step that follows on those that are known.
    fn next_step(&self, chain: &Node, cid: Cid) -> Checked<Node> {
        let service = chain.services.get(chain.steps.len()).ok_or("a step after the last")?;
        let before = chain.steps.last().and_then(|before| self.nodes.get(before));
        let made = match before.map(|before| before.runs.last().and_then(|run| run.left)) {
            None => chain.made,
            Some(left) => left.ok_or("the step before it was not left")?.0,
        };
        let token = *chain.members.first().ok_or("a chain of nothing")?;
        let asked = self.asked.get(&token).ok_or("nobody asked for it")?;
        let mut node = self.node(Kind::Step, cid, chain.parent, (token, made), None);
        node.is_of(service);
        node.is_unreadable = if before.is_none() { asked.call.is_unreadable } else { *service == REPORTS[0] };
        (node.above, node.root, node.deadline) = (Some(chain.cid), chain.root, chain.deadline);
        Ok(node)
    }

    /// The step of a chain whose response this one takes.
    pub(crate) fn step_before(&self, step: &Node) -> Option<&Node> {
        let steps = &self.nodes.get(&step.above?)?.steps;
        let place = steps.iter().position(|cid| *cid == step.cid)?;
        self.nodes.get(steps.get(place.checked_sub(1)?)?)
    }

    /// A step that never ran is known by the end of its chain.
    pub(super) fn read_last_steps(&mut self) -> Checked {
        let chains: Vec<_> = self.nodes.values().filter(|node| node.kind == Kind::Chain).collect();
        let last = |chain: &&Node| {
            let (_, outcome) = chain.ended.first()?;
            let step = step_of(outcome.as_ref()?.error()?)?;
            (!chain.steps.contains(&step.cid)).then(|| self.next_step(chain, step.cid))
        };
        let last: Vec<_> = chains.iter().filter_map(last).collect();
        last.into_iter().try_for_each(|step| self.add(step?))
    }

    pub(super) fn member(&self, token: u64, cid: Cid) -> Checked<Node> {
        let asked = self.asked.get(&token).ok_or("nobody asked for it")?;
        let (group_token, fault) = (self.group_of.get(&token), "its group was not taken");
        let group =
            group_token.and_then(|group| self.cid_of.get(group)).and_then(|group| self.nodes.get(group));
        let group = group.ok_or(fault)?;
        let mut node = self.node(Kind::Member, cid, asked.by, (token, group.made), Some(&asked.call));
        (node.above, node.root) = (Some(group.cid), group.root);
        if group_token.and_then(|token| self.groups.get(token)).is_some_and(|asked| asked.group.each) {
            (node.callbacks, node.on_failure) = (vec![EACH], vec![EACH]);
        }
        Ok(node)
    }

    /// A member or a step that never ran, of what the shutdown gave up, is known by its letter.
    pub(super) fn read_letters(&mut self) -> Checked {
        let unseen = self.letters.values().filter(|letter| !self.nodes.contains_key(&letter.cid));
        let parts: Vec<_> = unseen.filter_map(|letter| Some((letter.clone(), letter.group?))).collect();
        for (letter, group) in parts {
            let group = self.nodes.get(&group).ok_or("a letter of no group")?;
            let node = match group.kind {
                Kind::Chain => self.next_step(group, letter.cid)?,
                _ => self.member(requested(&letter.payload).ok_or("a letter of no call")?, letter.cid)?,
            };
            self.add(node)?;
        }
        Ok(())
    }

    /// The rows of every group: one for each target, in order.
    pub(super) fn read_rows(&mut self) -> Checked {
        let groups: Vec<_> =
            self.nodes.values().filter_map(|node| Some((node.members.clone(), rows(node)?))).collect();
        for (members, rows) in groups {
            must(rows.len() == members.len(), || format!("{} rows for {members:?}", rows.len()))?;
            for (token, row) in members.into_iter().zip(rows) {
                let cid: Cid =
                    row["cid"].as_str().and_then(|cid| cid.parse().ok()).ok_or("a row without a CID")?;
                match self.cid_of.get(&token) {
                    Some(known) => must(*known == cid, || format!("{cid} in the row of {known}"))?,
                    None => self.add(self.member(token, cid)?)?,
                }
            }
        }
        Ok(())
    }
}

/// Which call a response is of.
fn answered(payload: &Payload) -> Checked<u64> {
    Ok(payload.decode::<Answer>().map_err(|error| error.to_string())?.token)
}

/// The rows of a group that completed.
pub(crate) fn rows(node: &Node) -> Option<Vec<Value>> {
    let (_, outcome) = node.ended.first().filter(|_| node.kind == Kind::Group)?;
    outcome.as_ref()?.payload()?.decode().ok()
}
