//! What a log says of every CID: who asked for it, how it ran, how it ended. Nothing may be in it twice, nor
//! anything that nobody asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use zato_core::{Channel, Payload};
use zato_runtime::{Cancellation, Cid, FailureReport, Outcome};

use super::script::{CONVENTION, Call, EACH, End, Group, LAST, REPLIES, REPORTS, Request, TARGETS, token_of};
use super::world::{Event, How, Run};

/// Milliseconds that times may be apart: timers go by the millisecond, and deadlines by the time of day.
pub(super) const SLOP: u64 = 20;
/// How long a handler has that is asked to stop.
pub(crate) const GRACE: u64 = 5_000;

pub(super) type Checked<T = ()> = Result<T, String>;

pub(super) fn must(holds: bool, fault: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(fault()) }
}

pub(super) fn near(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= SLOP
}

/// When something happened: its place in the log, and its time.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct When {
    pub(super) seq: usize,
    pub(super) at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Async,
    Sync,
    Member,
    Group,
    Callback,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) began: When,
    /// When it learnt that it was to stop, itself or what it called synchronously.
    pub(super) told: Option<When>,
    pub(super) left: Option<(When, Option<End>)>,
}

/// All that is known of one CID.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) cid: Cid,
    pub(super) token: u64,
    pub(super) service: String,
    pub(super) parent: Option<Cid>,
    pub(super) root: Cid,
    pub(super) caller: Option<String>,
    /// What it is below of, for a cancel with the tree.
    pub(super) above: Option<Cid>,
    pub(super) made: When,
    pub(super) due: u64,
    pub(super) expires: Option<u64>,
    pub(super) deadline: Option<u64>,
    pub(super) timeout: Option<u64>,
    pub(super) attempts: u32,
    pub(super) wait: u64,
    pub(super) is_unreadable: bool,
    pub(super) callbacks: Vec<&'static str>,
    pub(super) on_failure: Vec<&'static str>,
    pub(super) members: Vec<u64>,
    pub(super) runs: Vec<Attempt>,
    pub(super) ended: Vec<(When, Option<Outcome>)>,
    pub(super) remembered: Option<Outcome>,
    /// What a callback received.
    pub(super) told: Option<Payload>,
}

#[derive(Debug)]
pub(super) struct Cancel {
    pub(super) when: When,
    pub(super) cid: Cid,
    pub(super) with_tree: bool,
    pub(super) answer: Option<Result<Cancellation, String>>,
}

pub(super) struct Asked {
    pub(super) when: When,
    pub(super) by: Option<Cid>,
    pub(super) how: How,
    pub(super) call: Arc<Call>,
}

pub(super) struct AskedAll {
    pub(super) by: Option<Cid>,
    pub(super) members: Vec<u64>,
    pub(super) group: Arc<Group>,
}

/// What the rules must know beside the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) wall: SystemTime,
    /// Whether places to run are few, so that what is due may wait.
    pub(crate) is_narrow: bool,
    /// A rule that is wrong on purpose: so many attempts more than may be made.
    pub(crate) more_attempts: u32,
}

/// A log, read.
pub(super) struct Facts {
    pub(super) world: World,
    pub(super) asked: BTreeMap<u64, Asked>,
    pub(super) groups: BTreeMap<u64, AskedAll>,
    /// Which group a token is a member of, and the CID that it runs under.
    pub(super) group_of: HashMap<u64, u64>,
    pub(super) cid_of: HashMap<u64, Cid>,
    pub(super) nodes: BTreeMap<Cid, Node>,
    pub(super) cancels: BTreeMap<u64, Cancel>,
    pub(super) shutdown: Option<(When, u64)>,
    /// When a shutdown gave up what had not ended.
    pub(super) cut: Option<When>,
    pub(super) stopped: Option<When>,
}

impl Facts {
    /// Reads a log.
    pub(super) fn new(world: World, events: &[(u64, Event)]) -> Checked<Self> {
        let mut facts = Self {
            world,
            asked: BTreeMap::new(),
            groups: BTreeMap::new(),
            group_of: HashMap::new(),
            cid_of: HashMap::new(),
            nodes: BTreeMap::new(),
            cancels: BTreeMap::new(),
            shutdown: None,
            cut: None,
            stopped: None,
        };
        for (seq, (at, event)) in events.iter().enumerate() {
            facts
                .read(When { seq, at: *at }, event)
                .map_err(|fault| format!("at {at} ms, {event:?}: {fault}"))?;
        }
        facts.read_rows()?;
        for (_, event) in events {
            if let Event::Remembered { cid, outcome } = event
                && let Some(node) = facts.nodes.get_mut(cid)
            {
                node.remembered.clone_from(outcome);
            }
        }
        Ok(facts)
    }

    fn read(&mut self, when: When, event: &Event) -> Checked {
        match event {
            Event::Asked { token, by, how, call } => {
                self.asked.insert(*token, Asked { when, by: *by, how: *how, call: call.clone() });
            }
            Event::AskedAll { token, by, members, group } => {
                self.group_of.extend(members.iter().map(|member| (*member, *token)));
                let asked = AskedAll { by: *by, members: members.clone(), group: group.clone() };
                self.groups.insert(*token, asked);
            }
            Event::Taken { token, answer: Ok(cid) } => self.taken(when, *token, *cid)?,
            Event::Began(run) => self.began(when, run)?,
            Event::Told { cid } => self.told(when, *cid)?,
            Event::Left { cid, how } => {
                let attempt =
                    self.nodes.get_mut(cid).and_then(|node| node.runs.last_mut()).ok_or("it never began")?;
                must(attempt.left.is_none(), || "it was left twice".to_owned())?;
                attempt.left = Some((when, *how));
            }
            Event::Cancelling { id, cid, with_tree } => {
                self.cancels.insert(*id, Cancel { when, cid: *cid, with_tree: *with_tree, answer: None });
            }
            Event::CancelAnswered { id, answer } => {
                self.cancels.get_mut(id).ok_or("nobody cancelled")?.answer = Some(answer.clone());
            }
            Event::Ended { cid, outcome } => {
                self.nodes.get_mut(cid).ok_or("nobody asked for it")?.ended.push((when, outcome.clone()));
            }
            Event::ShutdownBegan { limit } => self.shutdown = Some((when, *limit)),
            Event::ShutdownEnded => {
                let (began, limit) = self.shutdown.ok_or("it never began")?;
                self.stopped = Some(when);
                self.cut = Some(when).filter(|when| when.at >= began.at.saturating_add(limit));
            }
            Event::Taken { .. } | Event::Returned { .. } | Event::Remembered { .. } => {}
        }
        Ok(())
    }

    /// The invocation of a call.
    fn node(
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
            is_unreadable: false,
            callbacks: Vec::new(),
            on_failure: Vec::new(),
            members: Vec::new(),
            runs: Vec::new(),
            ended: Vec::new(),
            remembered: None,
            told: None,
        };
        let Some(call) = call else { return node };
        TARGETS[call.target].clone_into(&mut node.service);
        if kind != Kind::Sync && TARGETS[call.target] == "model.patient" {
            (node.attempts, node.wait, node.timeout) = (3, 200, Some(1_000));
        }
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
        let paired = by.is_some_and(|by| by.service == CONVENTION[0]) && !call.no_callback;
        let named = |names: &[usize], all: [&'static str; 2], convention| match names {
            [] if paired => vec![convention],
            names => names.iter().map(|name| all[*name]).collect(),
        };
        node.callbacks = named(&call.callbacks, REPLIES, CONVENTION[1]);
        node.on_failure = named(&call.on_failure, REPORTS, CONVENTION[2]);
        node
    }

    fn add(&mut self, node: Node) -> Checked {
        let cid = node.cid;
        if !matches!(node.kind, Kind::Callback) {
            must(self.cid_of.insert(node.token, cid).is_none(), || {
                format!("{} runs under two CIDs", node.token)
            })?;
        }
        must(self.nodes.insert(cid, node).is_none(), || format!("{cid} was given twice"))
    }

    fn taken(&mut self, when: When, token: u64, cid: Cid) -> Checked {
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

    fn began(&mut self, when: When, run: &Run) -> Checked {
        must(self.stopped.is_none(), || "it began after the shutdown".to_owned())?;
        if !self.nodes.contains_key(&run.cid) {
            if let Some(of) = run.in_reply_to.filter(|of| !self.nodes.contains_key(of)) {
                // A member that never ran: its report says which it is.
                let report = run.payload.decode::<FailureReport>().map_err(|error| error.to_string())?;
                let token = token_of(&report).ok_or("a report of nobody")?;
                self.add(self.member(token, of)?)?;
            }
            let node = self.found(when, run)?;
            self.add(node)?;
        }
        let Some(node) = self.nodes.get_mut(&run.cid) else { return Ok(()) };
        let seen = (run.service.as_str(), run.parent, run.root, run.caller.as_deref());
        let expected = (node.service.as_str(), node.parent, node.root, node.caller.as_deref());
        must(seen == expected, || format!("it should be {expected:?}"))?;
        let of = node.parent.filter(|_| node.kind == Kind::Callback);
        must(run.in_reply_to == of, || format!("it is in reply to {of:?}"))?;
        let channel = match node.kind {
            Kind::Sync => Channel::Invoke,
            Kind::Callback => Channel::InvokeAsyncCallback,
            _ => Channel::InvokeAsync,
        };
        must(run.channel == channel, || format!("its channel is {channel}"))?;
        let deadline = run.deadline.map(|deadline| {
            let after = deadline.duration_since(self.world.wall).unwrap_or_default();
            u64::try_from(after.as_millis()).unwrap_or(u64::MAX)
        });
        let is_right = match (deadline, node.deadline) {
            (Some(seen), Some(expected)) => near(seen, expected),
            (seen, expected) => seen == expected,
        };
        must(is_right, || format!("its deadline is {deadline:?}, and should be {:?}", node.deadline))?;
        must(run.attempt as usize == node.runs.len() + 1, || {
            format!("attempt {} is due", node.runs.len() + 1)
        })?;
        must(node.runs.last().is_none_or(|last| last.left.is_some()), || "two attempts at once".to_owned())?;
        must(node.ended.is_empty(), || "it had ended".to_owned())?;
        if node.kind != Kind::Callback {
            let request = run.payload.decode::<Request>().map_err(|error| error.to_string())?;
            must(request.token == node.token, || format!("it is call {}", node.token))?;
        }
        node.runs.push(Attempt { began: when, told: None, left: None });
        Ok(())
    }

    /// A context inside a synchronous call is one of the attempt around it.
    fn told(&mut self, when: When, cid: Cid) -> Checked {
        let mut next = Some(cid);
        while let Some(cid) = next {
            let node = self.nodes.get_mut(&cid).ok_or("it never began")?;
            node.runs.last_mut().ok_or("it never began")?.told.get_or_insert(when);
            next = node.above.filter(|_| node.kind == Kind::Sync);
        }
        Ok(())
    }

    /// Whether a shutdown interrupted the last attempt of an invocation: it was told, and failed then.
    pub(super) fn is_interrupted(&self, node: &Node) -> bool {
        node.runs.last().is_some_and(|run| self.interrupts(run))
    }

    pub(super) fn interrupts(&self, run: &Attempt) -> bool {
        let failed = matches!(run.left, Some((_, Some(End::Fail | End::RetryAfter(_)))));
        let began = self.shutdown.map(|(began, _)| began);
        failed && began.is_some_and(|began| run.told.is_some_and(|told| told.seq > began.seq))
    }

    /// When a shutdown gave up an invocation, if it may have: because its limit was reached, or because it had
    /// interrupted it.
    pub(super) fn cut_of(&self, node: &Node) -> Option<When> {
        let of = |token: &u64| self.cid_of.get(token).and_then(|cid| self.nodes.get(cid));
        let mut members = node.members.iter().filter_map(of);
        let is_held_back = self.is_interrupted(node) || members.any(|member| self.is_interrupted(member));
        self.cut.or(self.stopped.filter(|_| is_held_back))
    }

    /// Who it is that runs under a CID that no call has returned.
    fn found(&self, when: When, run: &Run) -> Checked<Node> {
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

    fn member(&self, token: u64, cid: Cid) -> Checked<Node> {
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
    fn read_rows(&mut self) -> Checked {
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
pub(super) fn rows(node: &Node) -> Option<Vec<Value>> {
    let (_, outcome) = node.ended.first().filter(|_| node.kind == Kind::Group)?;
    outcome.as_ref()?.payload()?.decode().ok()
}
