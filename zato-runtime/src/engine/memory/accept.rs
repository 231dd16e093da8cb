//! What the memory engine takes, and what it refuses.

use std::sync::Arc;

use zato_core::{Cid, Invocation};

use super::held::{Held, Hold, Waiting};
use super::queues::Ticket;
use super::state::State;
use crate::engine::contract::{Accepted, Refused};
use crate::record::{Accept, AttemptId, Progress};

/// Why an invocation was not taken.
pub(super) enum NotTaken {
    /// For good.
    Refused(Refused),
    /// There is no room yet: here it is back.
    NoRoom(Box<Accept>),
}

impl State {
    /// Takes an invocation, or a group with its members, if its caller may make it and there is room.
    pub(super) fn accept(&mut self, accept: Accept) -> Result<Accepted, NotTaken> {
        match accept.by {
            Some(by) if !self.is_running(by) => return Err(NotTaken::Refused(Refused::Over)),
            None if self.draining => return Err(NotTaken::Refused(Refused::Draining)),
            _ => {}
        }
        let made = accept.by.zip(accept.digest);
        let (cid, service) = (accept.invocation.cid, accept.invocation.service.clone());
        if let Some(first) = self.made_before(&accept, made).map_err(NotTaken::Refused)? {
            return Ok(Accepted::repeats(first));
        }
        let (key, again_of) = (accept.key.clone(), accept.invocation.again_of);
        let hidden = accept.by.filter(|by| accept.invocation.parent != Some(by.cid));
        let accepted = self.accept_new(accept)?;
        if let Some(Held::Ended { again, .. }) = again_of.and_then(|first| self.held.get_mut(&first)) {
            *again = Some(cid);
        }
        // What is run again stands where the first one stood.
        let first_hidden = again_of.and_then(|first| self.hidden.get(&first).copied());
        if let Some(around) = hidden.map(|by| by.cid).or(first_hidden) {
            self.hidden.insert(cid, around);
        }
        if let Some((by, digest)) = made {
            self.repeats.note(by, digest, cid);
        }
        if let Some(key) = key {
            self.keys.note(&service, key, cid);
        }
        Ok(accepted)
    }

    /// The CID of the same call, if it has been made already: by an earlier attempt, or under the same key.
    fn made_before(
        &mut self,
        accept: &Accept,
        made: Option<(AttemptId, u128)>,
    ) -> Result<Option<Cid>, Refused> {
        if let Some((by, digest)) = made {
            let held = &self.held;
            let stands = |child| match held.get(&child) {
                Some(Held::Ended { ended, .. }) => ended.outcome.is_completed(),
                other => other.is_some(),
            };
            if let Some(child) = self.repeats.find(by, digest, stands) {
                return Ok(Some(child));
            }
        }
        if let Some(key) = &accept.key
            && let Some(first) = self.keys.find(&accept.invocation.service, key)?
        {
            return Ok(Some(first));
        }
        if accept.brings_cid && self.held.contains_key(&accept.invocation.cid) {
            return Err(Refused::CidTaken);
        }
        if let Some(first) = accept.invocation.again_of
            && !matches!(self.held.get(&first), Some(Held::Ended { ended, again: None }) if ended.is_dead())
        {
            return Err(Refused::NotDead);
        }
        Ok(None)
    }

    fn accept_new(&mut self, accept: Accept) -> Result<Accepted, NotTaken> {
        if let Some(members) = accept.members {
            return self.accept_group(accept, members).map_err(NotTaken::Refused);
        }
        let within = if accept.by.is_some() { 2 } else { 1 };
        if let Err(full) = self.has_room(1, accept.invocation.payload.len(), within) {
            return Err(if accept.by.is_some() {
                NotTaken::Refused(full)
            } else {
                NotTaken::NoRoom(Box::new(accept))
            });
        }
        let is_cancelled = self.is_cancelled_with(&accept);
        if let Some(tell) = accept.tell {
            self.tell.entry(accept.invocation.cid).or_default().push(tell);
        }
        let cid = accept.invocation.cid;
        self.hold(accept.invocation);
        if is_cancelled {
            self.cancel(cid, true);
        }
        Ok(Accepted::new(false, None))
    }

    /// Whether so many more may wait, within so many times the bounds.
    fn has_room(&self, more: usize, more_bytes: usize, within: usize) -> Result<(), Refused> {
        let (staged, staged_bytes) = self.groups.staged();
        let (waiting, bytes) = (self.waiting + staged, self.waiting_bytes + staged_bytes);
        // A payload above the bound is taken when nothing else waits: otherwise it could never run.
        let fits = waiting + more <= self.max_waiting.saturating_mul(within)
            && (waiting == 0 || bytes + more_bytes <= self.max_waiting_bytes.saturating_mul(within));
        if fits { Ok(()) } else { Err(Refused::Full { waiting, bytes }) }
    }

    pub(super) fn stage(&mut self, group: Cid, members: Vec<Arc<Invocation>>) -> Result<(), Refused> {
        let bytes = members.iter().map(|member| member.payload.len()).sum();
        self.has_room(members.len(), bytes, 2)?;
        self.groups.stage(group, members);
        Ok(())
    }

    pub(super) fn unstage(&mut self, group: Cid) -> Vec<Arc<Invocation>> {
        self.groups.unstage(group)
    }

    fn accept_group(&mut self, accept: Accept, members: u32) -> Result<Accepted, Refused> {
        let is_cancelled = self.is_cancelled_with(&accept);
        let group = accept.invocation;
        let cid = group.cid;
        let staged = self.groups.staged_for(group.cid);
        if staged != members as usize {
            return Err(Refused::Incomplete { staged, members });
        }
        if let Some(tell) = accept.tell {
            self.tell.entry(group.cid).or_default().push(tell);
        }
        let staged = self.groups.unstage(group.cid);
        let cids = staged.iter().map(|member| member.cid).collect();
        for member in staged {
            self.hold(member);
        }
        self.held.insert(group.cid, Held::Open(group.clone()));
        let mut ended = None;
        if let Some(full) = self.groups.open(group, cids) {
            let (group, callbacks) = self.end_group(&full);
            callbacks.into_iter().for_each(|callback| self.hold(callback));
            ended = Some(group);
        }
        if is_cancelled {
            self.cancel(cid, true);
            for member in self.groups.members(cid) {
                self.cancel(member, true);
            }
        }
        Ok(Accepted::new(false, ended))
    }

    /// Holds an invocation until it may start.
    pub(super) fn hold(&mut self, invocation: Arc<Invocation>) {
        let ticket = self.ticket(invocation.cid);
        let service = self.queues.number(&invocation.service);
        self.set_timers(ticket, &invocation);
        let key = invocation.options.as_deref().and_then(|options| options.concurrency_key.as_deref());
        let is_first = key.is_none_or(|key| self.queues.of_mut(service).lanes.enter(key, ticket));
        let hold = match key {
            _ if is_first => self.line_up(service, &invocation, ticket, None),
            Some(key) if self.is_lane_held_back(service, key) => Hold::Restart,
            _ => Hold::Key,
        };
        self.wait(Waiting { invocation, before: None, number: ticket.number, service, hold });
    }

    pub(super) fn ticket(&mut self, cid: Cid) -> Ticket {
        self.last_number += 1;
        Ticket { number: self.last_number, cid }
    }

    /// Counts one more that waits.
    pub(super) fn wait(&mut self, waiting: Waiting) {
        if waiting.hold != Hold::Restart {
            self.waiting += 1;
            self.waiting_bytes += waiting.invocation.payload.len();
            self.queues.entered(waiting.service);
        }
        self.held.insert(waiting.invocation.cid, Held::Waiting(waiting));
    }

    /// The invocation that still waits under this ticket.
    pub(super) fn still_waiting(&self, ticket: Ticket) -> Option<&Waiting> {
        match self.held.get(&ticket.cid)? {
            Held::Waiting(waiting) if waiting.number == ticket.number => Some(waiting),
            _ => None,
        }
    }

    /// Takes what waits under this ticket out of what waits, if it still does.
    pub(super) fn take_waiting(
        &mut self,
        ticket: Ticket,
    ) -> Option<(Arc<Invocation>, u32, Option<Arc<Progress>>)> {
        let waiting = self.still_waiting(ticket)?;
        let taken = (waiting.invocation.clone(), waiting.service, waiting.before.clone());
        if waiting.hold != Hold::Restart {
            self.waiting -= 1;
            self.waiting_bytes -= taken.0.payload.len();
            self.queues.left(taken.1);
        }
        Some(taken)
    }
}
