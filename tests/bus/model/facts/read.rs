//! What a log says of every CID: who asked for it, how it ran, how it ended. Nothing may be in it twice, nor
//! anything that nobody asked for.

use std::collections::{BTreeMap, HashMap};

use zato_core::Channel;
use zato_runtime::{Cid, FailureReport};

use super::node::{
    Asked, AskedAll, AskedChain, Attempt, Cancel, Checked, Kind, Node, Restart, When, World, must, near,
};
use super::shutdown::give_up;
use crate::model::log::{Event, Record, Run};
use crate::model::script::{Request, token_of};

/// A log, read.
pub(crate) struct Facts {
    pub(crate) world: World,
    pub(crate) asked: BTreeMap<u64, Asked>,
    pub(crate) groups: BTreeMap<u64, AskedAll>,
    pub(crate) chains: BTreeMap<u64, AskedChain>,
    /// The chain whose first step a token is.
    pub(crate) chain_of: HashMap<u64, Cid>,
    /// Which group a token is a member of, and the CID that it runs under.
    pub(crate) group_of: HashMap<u64, u64>,
    pub(crate) cid_of: HashMap<u64, Cid>,
    pub(crate) nodes: BTreeMap<Cid, Node>,
    pub(crate) cancels: BTreeMap<u64, Cancel>,
    /// From when to when services were paused.
    pub(crate) pauses: HashMap<&'static str, Vec<(When, Option<When>)>>,
    /// Who had what run again or discarded, with what answer.
    pub(crate) reruns: Vec<(When, Cid, Result<Cid, String>)>,
    pub(crate) discards: Vec<(When, Cid, Result<(), String>)>,
    /// What is listed as dead letters when all is over.
    pub(crate) letters: BTreeMap<Cid, Record>,
    pub(crate) restarts: Vec<Restart>,
    pub(crate) shutdown: Option<(When, u64)>,
    /// When a shutdown had ended that had come so far that it gave up what had not ended.
    pub(crate) cut: Option<When>,
    pub(crate) stopped: Option<When>,
}

impl Facts {
    /// Reads a log.
    pub(crate) fn new(world: World, events: &[(u64, Event)]) -> Checked<Self> {
        let mut facts = Self {
            world,
            asked: BTreeMap::new(),
            groups: BTreeMap::new(),
            chains: BTreeMap::new(),
            chain_of: HashMap::new(),
            group_of: HashMap::new(),
            cid_of: HashMap::new(),
            nodes: BTreeMap::new(),
            cancels: BTreeMap::new(),
            pauses: HashMap::new(),
            reruns: Vec::new(),
            discards: Vec::new(),
            letters: BTreeMap::new(),
            restarts: Vec::new(),
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
        facts.read_last_steps()?;
        facts.read_letters()?;
        for (_, event) in events {
            facts.remember(event);
        }
        facts.hear_in_time();
        facts.forget_discarded()?;
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
            Event::AskedChain { token, by, first, chain } => {
                self.chains.insert(*token, AskedChain { by: *by, first: *first, chain: chain.clone() });
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
            // Afterwards it is for nothing.
            Event::Paused { service, paused } if self.stopped.is_none() => {
                self.paused(when, service, *paused);
            }
            Event::ShutdownBegan { limit } => self.shutdown = Some((when, *limit)),
            Event::ShutdownEnded => {
                let (began, limit) = self.shutdown.ok_or("it never began")?;
                self.stopped = Some(when);
                self.cut = Some(when).filter(|when| when.at >= give_up(began.at, limit));
            }
            Event::RestartBegan { limit } => {
                self.restarts.push(Restart { began: when, limit: *limit, stopped: when, up: when });
            }
            Event::Stopped => self.restarts.last_mut().ok_or("it never began")?.stopped = when,
            Event::Restarted => self.restarts.last_mut().ok_or("it never stopped")?.up = when,
            Event::RanAgain { cid, answer } => self.ran_again(when, *cid, answer)?,
            Event::Discarded { cid, answer } => self.discarded(when, *cid, answer)?,
            Event::Dead { letters } => {
                self.letters = letters.iter().map(|letter| (letter.cid, letter.clone())).collect();
                must(self.letters.len() == letters.len(), || "one is listed twice".to_owned())?;
            }
            Event::Paused { .. }
            | Event::Taken { .. }
            | Event::Returned { .. }
            | Event::AskedAgain
            | Event::Remembered { .. }
            | Event::InvocationInfo { .. } => {}
        }
        Ok(())
    }

    /// What is said of a CID when all is over.
    fn remember(&mut self, event: &Event) {
        let (Event::Remembered { cid, .. } | Event::InvocationInfo { cid, .. }) = event else { return };
        let Some(node) = self.nodes.get_mut(cid) else { return };
        match event {
            Event::Remembered { outcome, .. } => node.remembered.clone_from(outcome),
            Event::InvocationInfo { record, .. } => node.record.clone_from(record),
            _ => {}
        }
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
            Kind::Step => Channel::ChainStep,
            _ => Channel::InvokeAsync,
        };
        must(run.channel == channel, || format!("its channel is {channel}"))?;
        let deadline = run.deadline.map(|deadline| self.world.ms(deadline));
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
        if node.told.is_none() {
            let request = run.payload.decode::<Request>().map_err(|error| error.to_string())?;
            must(request.token == node.token, || format!("it is call {}", node.token))?;
        }
        node.runs.push(Attempt { began: when, told: None, left: None });
        Ok(())
    }

    fn paused(&mut self, when: When, service: &'static str, begins: bool) {
        let pauses = self.pauses.entry(service).or_default();
        match pauses.last_mut() {
            Some((_, to @ None)) if !begins => *to = Some(when),
            Some((_, Some(_))) | None if begins => pauses.push((when, None)),
            _ => {}
        }
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
}
