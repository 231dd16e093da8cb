//! What the memory engine holds, and every change of it. One lock guards it all.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio::time::Instant;
use zato_core::{Cid, Invocation, Outcome};

use super::ended::Remembered;
use super::ends::Aftermath;
use super::groups::Groups;
use super::held::{Cancel, Held, Progress};
use super::keys::Keys;
use super::queues::{Queues, Ticket};
use super::repeats::Repeats;
use super::timers::{Alarm, Timers};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::contract::{Accepted, LeaseLost, Refused, Settled};
use crate::record::{Accept, AttemptId, Delivery, Hosted, Join, Lease, Settle, Task, Verdict};

pub(super) struct State {
    pub(super) held: HashMap<Cid, Held, foldhash::fast::RandomState>,
    /// What may start as soon as there is a place.
    pub(super) queues: Queues,
    pub(super) timers: Timers,
    /// What is to be ended without being run.
    pub(super) to_end: VecDeque<(Ticket, Task)>,
    pub(super) groups: Groups,
    pub(super) repeats: Repeats,
    /// What was invoked inside a synchronous call, which is not held until the attempt around it is settled, and
    /// the invocation whose attempt that is.
    pub(super) hidden: HashMap<Cid, Cid>,
    keys: Keys,
    pub(super) join: Option<Arc<dyn Join>>,
    /// How many wait, whether they may start or not, and how many bytes of payload they hold.
    pub(super) waiting: usize,
    pub(super) waiting_bytes: usize,
    /// How many have been delivered and are not settled.
    pub(super) running: usize,
    pub(super) remembered: Remembered,
    /// Who is to be told of an outcome that is not there yet.
    pub(super) tell: HashMap<Cid, Vec<oneshot::Sender<Outcome>>>,
    /// What is left to do once the lock is released.
    pub(super) aftermath: Aftermath,
    /// The number of the last ticket or lease.
    last_number: u64,
    /// Set when a shutdown begins: calls from outside are refused.
    pub(super) draining: bool,
    /// Set when a shutdown ends: nothing is accepted or delivered.
    pub(super) closed: bool,
    pub(super) clock: Clock,
    max_running: usize,
    max_waiting: usize,
    max_waiting_bytes: usize,
}

/// Why an invocation from outside was not taken.
pub(super) enum NotTaken {
    /// For good.
    Refused(Refused),
    /// There is no room yet: here it is back.
    NoRoom(Box<Accept>),
}

impl State {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            held: HashMap::default(),
            queues: Queues::default(),
            timers: Timers::default(),
            to_end: VecDeque::new(),
            groups: Groups::default(),
            repeats: Repeats::default(),
            hidden: HashMap::new(),
            keys: Keys::new(config.keep_keys),
            join: None,
            waiting: 0,
            waiting_bytes: 0,
            running: 0,
            remembered: Remembered::new(config.keep_ended, config.keep_ended_bytes),
            tell: HashMap::new(),
            aftermath: Aftermath::default(),
            last_number: 0,
            draining: false,
            closed: false,
            clock: config.clock.clone(),
            max_running: config.max_running,
            max_waiting: config.max_waiting,
            max_waiting_bytes: config.max_waiting_bytes,
        }
    }

    /// Which services are hosted, and who makes the ends of groups.
    pub(super) fn announce(&mut self, services: &[Hosted], join: Arc<dyn Join>) {
        self.queues.announce(services);
        self.join = Some(join);
    }

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
        let key = accept.key.clone();
        let hidden = accept.by.filter(|by| accept.invocation.parent != Some(by.cid));
        let accepted = self.accept_new(accept)?;
        if let Some(by) = hidden {
            self.hidden.insert(cid, by.cid);
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
                Some(Held::Ended(ended)) => ended.outcome.is_completed(),
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
            for member in self.groups.members(cid) {
                self.cancel(member, true);
            }
        }
        Ok(Accepted::new(false, ended))
    }

    /// Holds an invocation until it may start.
    fn hold(&mut self, invocation: Arc<Invocation>) {
        let ticket = self.ticket(invocation.cid);
        let due = match invocation.options.as_deref() {
            None => None,
            Some(options) => self.set_timers(ticket, options),
        };
        if let Some(deadline) = invocation.deadline {
            self.timers.set(self.clock.arm(deadline), ticket, Alarm::Deadline);
        }
        self.wait(invocation, ticket, None, due);
    }

    pub(super) fn ticket(&mut self, cid: Cid) -> Ticket {
        self.last_number += 1;
        Ticket { number: self.last_number, cid }
    }

    fn wait(
        &mut self,
        invocation: Arc<Invocation>,
        ticket: Ticket,
        progress: Option<Box<Progress>>,
        due: Option<Instant>,
    ) {
        match due {
            Some(due) => self.timers.set(due, ticket, Alarm::Due),
            None => self.queues.push(&invocation, ticket),
        }
        self.waiting += 1;
        self.waiting_bytes += invocation.payload.len();
        self.held.insert(ticket.cid, Held::Waiting { invocation, number: ticket.number, progress });
    }

    /// The invocation that still waits under this ticket.
    pub(super) fn still_waiting(&self, ticket: Ticket) -> Option<(&Arc<Invocation>, Option<&Progress>)> {
        match self.held.get(&ticket.cid)? {
            Held::Waiting { invocation, number, progress } if *number == ticket.number => {
                Some((invocation, progress.as_deref()))
            }
            _ => None,
        }
    }

    /// Delivers what is to be delivered next, if there is a place for it to run.
    pub(super) fn deliver_next(&mut self) -> Option<Delivery> {
        if self.closed {
            return None;
        }
        while let Some((ticket, task)) = self.to_end.pop_front() {
            if let Some(delivery) = self.deliver(ticket, task) {
                return Some(delivery);
            }
        }
        while self.running < self.max_running {
            let (queue, ticket) = self.queues.pop()?;
            if let Some(delivery) = self.deliver(ticket, Task::Run) {
                return Some(delivery);
            }
            self.queues.skipped(queue);
        }
        None
    }

    /// Delivers what waits under this ticket, if it still does.
    fn deliver(&mut self, ticket: Ticket, task: Task) -> Option<Delivery> {
        let (invocation, progress) = self.still_waiting(ticket)?;
        let (invocation, progress) = (invocation.clone(), progress.copied().unwrap_or_default());
        self.waiting -= 1;
        self.waiting_bytes -= invocation.payload.len();
        self.clear_void();
        Some(self.start(invocation, progress, task))
    }

    fn start(&mut self, invocation: Arc<Invocation>, progress: Progress, task: Task) -> Delivery {
        let Progress { attempts, failed, last_started_at } = progress;
        let runs = task == Task::Run;
        let attempt = attempts + u32::from(runs);
        if runs {
            self.queues.started(&invocation.service);
        }
        self.last_number += 1;
        self.running += 1;
        let lease = Lease(self.last_number);
        let held = Held::Delivered {
            invocation: invocation.clone(),
            lease,
            attempt,
            failed,
            runs,
            cancel: Cancel::No,
        };
        self.held.insert(invocation.cid, held);
        Delivery { invocation, attempt, failed, last_started_at, lease, task }
    }

    /// Records what follows from an attempt; starts those callbacks that nothing waits ahead of.
    pub(super) fn settle(&mut self, settle: Settle) -> Result<Settled, LeaseLost> {
        let (attempt, failed) = match self.held.get(&settle.cid) {
            Some(Held::Delivered { invocation, lease, attempt, failed, runs, .. })
                if *lease == settle.lease =>
            {
                if *runs {
                    self.queues.ended(&invocation.service);
                }
                (*attempt, *failed)
            }
            _ => return Err(LeaseLost),
        };
        self.running -= 1;
        for inner in settle.inner {
            self.remember(Arc::new(inner));
        }
        let mut settled = Settled::default();
        match settle.verdict {
            Verdict::Again { at, started_at } => {
                let progress =
                    Progress { attempts: attempt, failed: failed + 1, last_started_at: Some(started_at) };
                self.wait_again(settle.cid, at, progress);
            }
            Verdict::End { ended, callbacks } => {
                let mut created = callbacks;
                let slot = ended.invocation.slot;
                let ended = self.end(ended);
                if let Some(full) = slot.and_then(|slot| self.groups.fill(slot, &ended)) {
                    let (group, callbacks) = self.end_group(&full);
                    settled.joined = Some(group);
                    created.extend(callbacks);
                }
                for callback in created {
                    // The worker that settles has two hands: what it cannot begin at once is for the others.
                    let has_place = settled.granted.is_empty() && self.running < self.max_running;
                    if has_place && self.queues.is_clear(&callback.service) {
                        settled.granted.push(self.start(callback, Progress::default(), Task::Run));
                    } else {
                        self.hold(callback);
                    }
                }
            }
        }
        Ok(settled)
    }

    fn wait_again(&mut self, cid: Cid, at: SystemTime, progress: Progress) {
        let Some(Held::Delivered { invocation, .. }) = self.held.get(&cid) else { return };
        let invocation = invocation.clone();
        let ticket = self.ticket(cid);
        if let Some(deadline) = invocation.deadline {
            self.timers.set(self.clock.arm(deadline), ticket, Alarm::Deadline);
        }
        let is_cancelled = self.cancel_of(cid) != Cancel::No;
        let due = self.clock.arm(at);
        self.wait(invocation, ticket, Some(Box::new(progress)), Some(due));
        if is_cancelled {
            self.to_end.push_back((ticket, Task::Cancel));
        }
    }

    /// Whether a worker that waits should look.
    pub(super) fn can_deliver(&self) -> bool {
        !self.to_end.is_empty() || (!self.queues.is_empty() && self.running < self.max_running)
    }

    /// How many can be started at the most.
    pub(super) fn startable(&self) -> usize {
        self.queues.len()
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.running == 0
    }
}
