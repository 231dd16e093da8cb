//! What calls have made.

use zato_runtime::Cid;

use super::node::{Checked, Kind, Node, SLOP, When, must};
use super::read::Facts;
use crate::model::script::{CONVENTION, Call, LAST, REPLIES, REPORTS, STEPS, TARGETS};

impl Node {
    /// Of this service, with what its attribute says.
    pub(super) fn is_of(&mut self, service: &str) {
        service.clone_into(&mut self.service);
        (self.attempts, self.wait, self.timeout) = match service {
            _ if self.kind == Kind::Sync => (1, 0, None),
            "model.patient" => (3, 200, Some(1_000)),
            "model.restless" => (2, 100, None),
            _ => (1, 0, None),
        };
    }

    /// The callbacks that a call names, or those by convention.
    fn name_callbacks(&mut self, no_callback: bool, callbacks: &[usize], on_failure: &[usize]) {
        let paired = self.caller.as_deref() == Some(CONVENTION[0]) && !no_callback;
        let named = |names: &[usize], all: [&'static str; 2], convention| match names {
            [] if paired => vec![convention],
            names => names.iter().map(|name| all[*name]).collect(),
        };
        self.callbacks = named(callbacks, REPLIES, CONVENTION[1]);
        self.on_failure = named(on_failure, REPORTS, CONVENTION[2]);
    }
}

impl Facts {
    /// The invocation of a call.
    pub(super) fn node(
        &self,
        kind: Kind,
        cid: Cid,
        by: Option<Cid>,
        (token, made): (u64, When),
        call: Option<&Call>,
    ) -> Node {
        let by = by.and_then(|by| self.nodes.get(&by));
        let mut node = Node {
            kind,
            cid,
            token,
            service: String::new(),
            parent: by.map(|by| by.cid),
            root: by.map_or(cid, |by| by.root),
            caller: by.map(|by| by.service.clone()),
            above: by.map(|by| by.cid),
            made,
            due: made.at,
            expires: None,
            deadline: by.and_then(|by| by.deadline),
            timeout: None,
            attempts: 1,
            wait: 0,
            key: None,
            is_unreadable: false,
            callbacks: Vec::new(),
            on_failure: Vec::new(),
            members: Vec::new(),
            services: Vec::new(),
            steps: Vec::new(),
            runs: Vec::new(),
            ended: Vec::new(),
            again_of: None,
            again: None,
            discarded: None,
            remembered: None,
            record: None,
            told: None,
        };
        let Some(call) = call else { return node };
        node.is_of(TARGETS[call.target]);
        node.is_unreadable = call.is_unreadable;
        if kind != Kind::Async {
            return node;
        }
        if call.new_root {
            (node.root, node.deadline) = (cid, None);
        }
        node.due += call.delay.unwrap_or_default();
        node.expires = call.expires.map(|expires| made.at + expires);
        node.timeout = call.timeout.or(node.timeout);
        node.deadline =
            [node.deadline, call.deadline.map(|deadline| made.at + deadline)].into_iter().flatten().min();
        (node.attempts, node.wait) = call.attempts.unwrap_or((node.attempts, node.wait));
        node.key = call.key;
        node.name_callbacks(call.no_callback, &call.callbacks, &call.on_failure);
        node
    }

    pub(super) fn add(&mut self, node: Node) -> Checked {
        let cid = node.cid;
        let mut is_first = node.kind != Kind::Callback;
        if node.kind == Kind::Step
            && let Some(chain) = node.above.and_then(|above| self.nodes.get_mut(&above))
        {
            is_first = chain.steps.is_empty() && chain.again_of.is_none();
            chain.steps.push(cid);
        }
        if is_first {
            must(self.cid_of.insert(node.token, cid).is_none(), || {
                format!("{} runs under two CIDs", node.token)
            })?;
        }
        must(self.nodes.insert(cid, node).is_none(), || format!("{cid} was given twice"))
    }

    pub(super) fn taken(&mut self, when: When, token: u64, cid: Cid) -> Checked {
        if let Some(asked) = self.asked.get(&token) {
            let is_open = self.shutdown.is_none_or(|(began, _)| began.at == when.at);
            must(asked.by.is_some() || is_open, || "it was taken during a shutdown".to_owned())?;
            let call = asked.call.clone();
            let node = self.node(Kind::Async, cid, asked.by, (token, when), Some(&call));
            let is_late =
                call.delay.is_some() && node.deadline.is_some_and(|deadline| node.due > deadline + SLOP);
            must(!is_late, || "it is due after its deadline".to_owned())?;
            return self.add(node);
        }
        if let Some(asked) = self.chains.get(&token) {
            let (first, chain) = (asked.first, asked.chain.clone());
            let mut node = self.node(Kind::Chain, cid, asked.by, (token, when), None);
            node.is_of("zato.chain");
            node.name_callbacks(chain.no_callback, &chain.callbacks, &chain.on_failure);
            let then = chain.then.iter().map(|step| STEPS[*step]);
            node.services = [TARGETS[chain.first.target]].into_iter().chain(then).collect();
            node.members = vec![first];
            self.chain_of.insert(first, cid);
            return self.add(node);
        }
        let asked = self.groups.get(&token).ok_or("nobody asked for it")?;
        if let Some(known) = self.nodes.get(&cid) {
            // Calls differ by the token in their payload; groups of nothing are equal, and a later attempt is
            // given the one that an earlier attempt made.
            // (Through a synchronous call its parent is that of the earlier attempt.)
            let is_repeated = asked.members.is_empty() && known.kind == Kind::Group;
            must(is_repeated, || format!("{cid} was given twice"))?;
            self.cid_of.insert(token, cid);
            return Ok(());
        }
        let mut node = self.node(Kind::Group, cid, asked.by, (token, when), None);
        if asked.group.fans_out { "zato.fan-out" } else { "zato.parallel" }.clone_into(&mut node.service);
        node.members.clone_from(&asked.members);
        if asked.group.last && asked.group.fans_out {
            node.callbacks.push(LAST);
        }
        self.add(node)
    }
}
