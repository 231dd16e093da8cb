//! Who it is that runs under a CID that no call has returned.

use serde_json::Value;
use zato_runtime::Cid;

use super::node::{Checked, Kind, Node, When, must};
use super::read::Facts;
use crate::model::log::{How, Run};
use crate::model::script::{EACH, REPLIES, Request};

impl Facts {
    /// Who it is that runs under a CID that no call has returned.
    pub(super) fn found(&self, when: When, run: &Run) -> Checked<Node> {
        if let Some(of) = run.in_reply_to {
            let of = self.nodes.get(&of).ok_or("it answers what nobody asked for")?;
            let mut node = self.node(Kind::Callback, run.cid, Some(of.cid), (0, when), None);
            node.service.clone_from(&run.service);
            node.told = Some(run.payload.clone());
            node.deadline = None;
            (node.attempts, node.wait) = if run.service == REPLIES[1] { (2, 100) } else { (1, 0) };
            return Ok(node);
        }
        let token = run.payload.decode::<Request>().map_err(|error| error.to_string())?.token;
        let asked = self.asked.get(&token).ok_or("nobody asked for it")?;
        match asked.how {
            How::Async => Err(format!("its CID should be {:?}", self.cid_of.get(&token))),
            How::Sync => Ok(self.node(Kind::Sync, run.cid, asked.by, (token, asked.when), Some(&asked.call))),
            How::Member => self.member(token, run.cid),
        }
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

/// The rows of a group that completed.
pub(crate) fn rows(node: &Node) -> Option<Vec<Value>> {
    let (_, outcome) = node.ended.first().filter(|_| node.kind == Kind::Group)?;
    outcome.as_ref()?.payload()?.decode().ok()
}
