//! Accepts invocations into the state, or refuses them.

use std::sync::Arc;

use zato_core::{Cid, Invocation, ServiceName};

use super::entry::{BlockedBy, Entry, Waiting};
use super::groups::Full;
use super::lanes::Entered;
use super::place::Place;
use super::place::Ticket;
use super::state::State;
use super::store::{Accepted as Stored, EndedRecord, Store};
use super::table::{Node, Table};
use crate::engine::contract::{Accepted, Refused, StoreFault};
use crate::record::{Accept, AttemptId};

/// Why an invocation was not taken.
pub(in crate::engine) enum NotTaken {
    /// For good.
    Refused(Refused),
    /// There is no room yet: here it is back.
    NoRoom(Box<Accept>),
}

impl From<Refused> for NotTaken {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<StoreFault> for NotTaken {
    fn from(fault: StoreFault) -> Self {
        Self::Refused(fault.into())
    }
}

impl<S: Store> State<S> {
    /// Takes an invocation, or a group with its members, if its caller may make it and there is room.
    pub(in crate::engine) fn accept(&mut self, accept: Accept) -> Result<Accepted, NotTaken> {
        match accept.by {
            Some(by) if !self.is_running(by) => return Err(NotTaken::Refused(Refused::Over)),
            None if self.draining => return Err(NotTaken::Refused(Refused::Draining)),
            _ => {}
        }
        let made = accept.by.zip(accept.digest);
        let (cid, service) = (accept.invocation.cid, accept.invocation.service);
        if let Some(first) = self.made_before(&accept, made)? {
            return Ok(Accepted::repeats(first));
        }
        let (key, again_of) = (accept.key.clone(), accept.invocation.again_of());
        let hidden = accept.by.filter(|by| accept.invocation.parent != Some(by.cid));
        // What is run again stands where the first one stood.
        let first = match again_of {
            Some(first) => self.past(first)?,
            None => None,
        };
        if let Some(around) = hidden.map(|by| by.cid).or(first.as_ref().and_then(|first| first.hidden_by)) {
            self.hidden.insert(cid, around);
        }
        let accepted = match self.accept_new(accept) {
            Ok(accepted) => accepted,
            Err(refused) => {
                self.hidden.remove(&cid);
                return Err(refused);
            }
        };
        if let Some(EndedRecord { ended, .. }) = first {
            let first = ended.invocation.cid;
            let kept = self.held.kept(&first).and_then(|number| self.store.kept_mut(number));
            if let Some(kept) = kept {
                kept.again = Some(cid);
            } else {
                self.held.insert(first, Entry::Ended { ended, again: Some(cid) });
                self.store.run_again(first, cid);
            }
        }
        if let Some((by, digest)) = made {
            self.call_dedup.note(by, digest, cid);
        }
        if let Some(key) = key {
            self.store.note_key(&service, key, cid);
        }
        Ok(accepted)
    }

    /// How many more calls of at most so many bytes may wait.
    pub(in crate::engine) fn room_unseen(&self, bytes: usize) -> i64 {
        if self.draining || self.closed {
            return 0;
        }
        let count = |room: usize| i64::try_from(room).unwrap_or(i64::MAX);
        let by_number = count(self.max_waiting) - self.waiting;
        let by_bytes = (count(self.max_waiting_bytes) - self.waiting_bytes) / count(bytes);
        let staged = self.groups.staged();
        by_number.min(by_bytes) - count(staged.0) - count(staged.1 / bytes)
    }

    /// The CID of the same call, if it has been made already: by an earlier attempt, or under the same key.
    fn made_before(
        &mut self,
        accept: &Accept,
        made: Option<(AttemptId, u128)>,
    ) -> Result<Option<Cid>, Refused> {
        if let Some((by, digest)) = made {
            if self.call_dedup.must_learn(by)
                && let Some(calls) = self.store.calls(by.cid)?
            {
                self.call_dedup.learn(by, calls);
            }
            let (held, store) = (&self.held, &self.store);
            let stands = |child| match held.get(&child) {
                Some(Entry::Ended { ended, .. }) => Ok(ended.outcome.is_completed()),
                Some(_) => Ok(true),
                None => match gone(held, store, child)? {
                    Some(past) => Ok(past.ended.outcome.is_completed()),
                    None => Ok(store.left(child)?.is_some()),
                },
            };
            if let Some(child) = self.call_dedup.find(by, digest, stands)? {
                return Ok(Some(child));
            }
        }
        if let Some(key) = &accept.key
            && let Some(first) = self.store.key(&accept.invocation.service, key)?
        {
            return Ok(Some(first));
        }
        if accept.brings_cid && self.is_held(accept.invocation.cid)? {
            return Err(Refused::CidTaken);
        }
        if let Some(first) = accept.invocation.again_of()
            && !self.past(first)?.is_some_and(|past| past.ended.is_dead() && past.again.is_none())
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
        self.hold(accept.invocation, None);
        if is_cancelled {
            self.cancel_held(cid, true);
        }
        Ok(Accepted::new(false, None))
    }

    /// Whether so many more may wait, within so many times the bounds.
    pub(in crate::engine) fn has_room(
        &self,
        more: usize,
        more_bytes: usize,
        within: usize,
    ) -> Result<(), Refused> {
        let (staged, staged_bytes) = self.groups.staged();
        let at_least_none = |count: i64| usize::try_from(count).unwrap_or_default();
        let waiting = at_least_none(self.waiting) + staged;
        let bytes = at_least_none(self.waiting_bytes) + staged_bytes;
        // A payload above the bound is taken when nothing else waits: otherwise it could never run.
        let fits = waiting + more <= self.max_waiting.saturating_mul(within)
            && (waiting == 0 || bytes + more_bytes <= self.max_waiting_bytes.saturating_mul(within));
        if fits { Ok(()) } else { Err(Refused::Full { waiting, bytes }) }
    }

    /// Whether so many more may come from outside.
    pub(in crate::engine) fn has_room_outside(&self, more: usize, bytes: usize) -> bool {
        let is_empty = self.waiting <= 0 && self.groups.staged().0 == 0;
        self.draining || is_empty || self.has_room(more, bytes, 1).is_ok()
    }

    pub(in crate::engine) fn stage(
        &mut self,
        group: Cid,
        members: Vec<Arc<Invocation>>,
    ) -> Result<(), Refused> {
        let bytes = members.iter().map(|member| member.payload.len()).sum();
        self.has_room(members.len(), bytes, 2)?;
        self.groups.stage(group, members);
        Ok(())
    }

    pub(in crate::engine) fn unstage(&mut self, group: Cid) -> Vec<Arc<Invocation>> {
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
        let number = self.next_number();
        let hidden_by = self.hidden.get(&group.cid).copied();
        self.store.accepted(Stored {
            number,
            invocation: &group,
            is_group: true,
            hidden_by,
            priority: 0,
            max_losses: None,
            is_behind: false,
        });
        let staged = self.groups.unstage(group.cid);
        self.held.reserve(staged.len());
        let cids = staged.iter().map(|member| member.cid).collect();
        for member in staged {
            self.hold(member, None);
        }
        let mut ended = None;
        if let Some(full) = self.open(group, cids) {
            let (group, callbacks) = self.end_group(&full);
            callbacks.into_iter().for_each(|callback| self.hold(callback, None));
            ended = Some(group);
            if let Some(place) = self.held.place(&cid) {
                self.finish_end(place);
            }
        }
        if is_cancelled {
            self.cancel_held(cid, true);
            for member in self.groups.members(cid) {
                self.cancel_held(member, true);
            }
        }
        Ok(Accepted::new(false, ended))
    }

    /// Holds a group until these members of it have ended; answers with it if there are none.
    pub(in crate::engine) fn open(&mut self, group: Arc<Invocation>, members: Vec<Cid>) -> Option<Full> {
        let place = self.held.insert(group.cid, Entry::Open(group.clone()));
        self.link(place, self.above(&group), None);
        self.groups.open(group, members)
    }

    /// Holds an invocation until it may start.
    pub(in crate::engine) fn hold(&mut self, invocation: Arc<Invocation>, near: Option<(Cid, Place)>) {
        let ticket = self.ticket(invocation.cid);
        let hidden_by = if self.hidden.is_empty() { None } else { self.hidden.get(&ticket.cid).copied() };
        let service = self.queues.number(&invocation.service);
        self.set_timers(ticket, &invocation, None);
        let entered = self.enter_lane(service, &invocation, ticket);
        let priority = self.queues.priority(service, &invocation);
        self.store.accepted(Stored {
            number: ticket.number,
            invocation: &invocation,
            is_group: false,
            hidden_by,
            priority,
            max_losses: self.queues.max_losses(service, &invocation),
            is_behind: entered != Entered::First,
        });
        let hold = match entered {
            Entered::First => self.line_up(service, &invocation, ticket, None),
            _ if self.is_lane_held_back(service, &invocation) => BlockedBy::Restart,
            _ => BlockedBy::Key,
        };
        if entered == Entered::Beyond && !self.store.is_in_memory(&invocation) {
            self.let_go_later(ticket);
        }
        let above = self.above(&invocation);
        self.wait(ticket, Waiting { invocation, before: None, number: ticket.number, service, hold });
        self.link(ticket.place, above, near);
    }

    pub(in crate::engine) fn ticket(&mut self, cid: Cid) -> Ticket {
        Ticket { number: self.next_number(), cid, place: self.held.place_of(cid) }
    }

    pub(in crate::engine) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Lets nothing of a service start, or lets it start again.
    pub(in crate::engine) fn pause(&mut self, service: &ServiceName, paused: bool) {
        let number = self.queues.number(service);
        self.queues.pause(number, paused);
        self.store.paused(service, paused);
    }

    /// One that has ended, whoever remembers it.
    pub(in crate::engine) fn past(&self, cid: Cid) -> Result<Option<EndedRecord>, StoreFault> {
        match self.held.get(&cid) {
            Some(Entry::Ended { ended, again, .. }) => {
                let hidden_by = self.hidden.get(&cid).copied();
                Ok(Some(EndedRecord { ended: ended.clone(), again: *again, hidden_by }))
            }
            Some(_) => Ok(None),
            None => gone(&self.held, &self.store, cid),
        }
    }

    /// One that has ended and is not held.
    pub(in crate::engine) fn gone(&self, cid: Cid) -> Result<Option<EndedRecord>, StoreFault> {
        gone(&self.held, &self.store, cid)
    }

    /// Whether anything has this CID.
    fn is_held(&self, cid: Cid) -> Result<bool, StoreFault> {
        Ok(self.held.is_held(&cid) || self.gone(cid)?.is_some() || self.store.left(cid)?.is_some())
    }

    /// Counts one more that waits.
    pub(in crate::engine) fn wait(&mut self, ticket: Ticket, waiting: Waiting) {
        if waiting.hold != BlockedBy::Restart {
            self.count_in(waiting.service, waiting.invocation.payload.len());
        }
        self.held.put(ticket.place, Node::Held(Entry::Waiting(waiting)));
    }

    /// One more waits that counts.
    pub(in crate::engine) fn count_in(&mut self, service: u32, bytes: usize) {
        self.waiting += 1;
        self.waiting_bytes += i64::try_from(bytes).unwrap_or_default();
        if !S::WRITES_DOWN {
            self.queues.entered(service);
        }
    }

    /// One waits no longer.
    pub(in crate::engine) fn count_out(&mut self, service: u32, bytes: usize) {
        self.waiting -= 1;
        self.waiting_bytes -= i64::try_from(bytes).unwrap_or_default();
        if !S::WRITES_DOWN {
            self.queues.left(service);
        }
    }

    /// The invocation that still waits under this ticket.
    pub(in crate::engine) fn still_waiting(&self, ticket: Ticket) -> Option<&Waiting> {
        self.held.waiting(ticket.place, ticket.number)
    }
}

/// One that has ended and is not held: it is kept, or written down.
fn gone<S: Store>(held: &Table, store: &S, cid: Cid) -> Result<Option<EndedRecord>, StoreFault> {
    match held.kept(&cid) {
        Some(number) => Ok(store.kept(number)),
        None => store.past(cid),
    }
}
