//! What the memory engine holds, and every change of it. One lock guards it all.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio::time::Instant;
use zato_core::{Cid, Ending, Invocation, Options, Outcome, Payload, When};

use super::ended::Remembered;
use super::groups::{Full, Groups};
use super::held::{Cancel, Forgotten, Held, Progress};
use super::queues::{Queues, Ticket};
use super::timers::{Alarm, Timers};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::contract::{LeaseLost, Refused, Settled};
use crate::record::{
    Accept, Batch, CancelAnswer, Delivery, Ended, Hosted, Join, Lease, Settle, Task, Verdict,
};

pub(super) struct State {
    pub(super) held: HashMap<Cid, Held, foldhash::fast::RandomState>,
    /// What may start as soon as there is a place.
    queues: Queues,
    timers: Timers,
    /// What is to be ended without being run.
    to_end: VecDeque<(Ticket, Task)>,
    pub(super) groups: Groups,
    join: Option<Arc<dyn Join>>,
    /// How many wait, whether they may start or not, and how many bytes of payload they hold.
    waiting: usize,
    waiting_bytes: usize,
    /// How many have been delivered and are not settled.
    running: usize,
    remembered: Remembered,
    /// Who is to be told of an outcome that is not there yet.
    pub(super) tell: HashMap<Cid, Vec<oneshot::Sender<Outcome>>>,
    /// What is no longer remembered, until somebody drops it outside of the lock.
    forgotten: Forgotten,
    /// The number of the last ticket or lease.
    last_number: u64,
    /// Set when a shutdown begins: calls from outside are refused.
    pub(super) draining: bool,
    /// Set when a shutdown ends: nothing is accepted or delivered.
    closed: bool,
    clock: Clock,
    max_running: usize,
    max_waiting: usize,
    max_waiting_bytes: usize,
}

/// Why an invocation from outside was not taken.
pub(super) enum NotTaken {
    /// For good.
    Refused(Refused),
    /// There is no room yet: here it is back.
    NoRoom(Accept),
}

impl State {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            held: HashMap::default(),
            queues: Queues::default(),
            timers: Timers::default(),
            to_end: VecDeque::new(),
            groups: Groups::default(),
            join: None,
            waiting: 0,
            waiting_bytes: 0,
            running: 0,
            remembered: Remembered::new(config.keep_ended, config.keep_ended_bytes),
            tell: HashMap::new(),
            forgotten: Forgotten::new(),
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
    pub(super) fn accept(&mut self, accept: Accept) -> Result<(), NotTaken> {
        match accept.by {
            Some(by) if !self.is_running(by) => return Err(NotTaken::Refused(Refused::Over)),
            None if self.draining => return Err(NotTaken::Refused(Refused::Draining)),
            _ => {}
        }
        if let Some(members) = accept.members {
            return self.accept_group(accept.invocation, members).map_err(NotTaken::Refused);
        }
        let within = if accept.by.is_some() { 2 } else { 1 };
        if let Err(full) = self.has_room(1, accept.invocation.payload.len(), within) {
            return Err(if accept.by.is_some() { NotTaken::Refused(full) } else { NotTaken::NoRoom(accept) });
        }
        if let Some(tell) = accept.tell {
            self.tell.entry(accept.invocation.cid).or_default().push(tell);
        }
        let is_cancelled = accept.by.is_some_and(|by| self.cancel_of(by.cid) == Cancel::WithTree);
        let cid = accept.invocation.cid;
        self.hold(accept.invocation);
        if is_cancelled {
            self.cancel(cid, true);
        }
        Ok(())
    }

    fn cancel_of(&self, cid: Cid) -> Cancel {
        match self.held.get(&cid) {
            Some(Held::Delivered { cancel, .. }) => *cancel,
            _ => Cancel::No,
        }
    }

    /// Has what waits ended, and notes of what runs that it is to stop; `None` if it is not held.
    pub(super) fn cancel(&mut self, cid: Cid, with_tree: bool) -> Option<CancelAnswer> {
        Some(match self.held.get_mut(&cid)? {
            Held::Ended(ended) => CancelAnswer::Ended(ended.outcome.clone()),
            Held::Waiting { number, .. } => {
                let ticket = Ticket { number: *number, cid };
                self.to_end.push_back((ticket, Task::Cancel));
                CancelAnswer::Ending
            }
            Held::Delivered { runs: false, .. } => CancelAnswer::Ending,
            Held::Delivered { cancel, .. } => {
                *cancel =
                    if with_tree || *cancel == Cancel::WithTree { Cancel::WithTree } else { Cancel::Alone };
                CancelAnswer::Noted
            }
            Held::Open(_) => CancelAnswer::Noted,
        })
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

    fn accept_group(&mut self, group: Arc<Invocation>, members: u32) -> Result<(), Refused> {
        let staged = self.groups.staged_for(group.cid);
        if staged != members as usize {
            return Err(Refused::Incomplete { staged, members });
        }
        for member in self.groups.unstage(group.cid) {
            self.hold(member);
        }
        self.held.insert(group.cid, Held::Open(group.clone()));
        if let Some(full) = self.groups.open(group, members) {
            let (_, callbacks) = self.end_group(&full);
            callbacks.into_iter().for_each(|callback| self.hold(callback));
        }
        Ok(())
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

    fn ticket(&mut self, cid: Cid) -> Ticket {
        self.last_number += 1;
        Ticket { number: self.last_number, cid }
    }

    /// Sets what the options ask for; answers with when the invocation is due, unless that is now.
    fn set_timers(&mut self, ticket: Ticket, options: &Options) -> Option<Instant> {
        let arm = |when: Option<When>| match when {
            Some(When::At(at)) => Some(self.clock.arm(at)),
            Some(When::In(delay)) => Some(Instant::now() + delay),
            None => None,
        };
        let (due, expires) = (arm(options.due), arm(options.expires));
        if let Some(at) = expires {
            self.timers.set(at, ticket, Alarm::Expired);
        }
        due.filter(|due| *due > Instant::now())
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
    fn still_waiting(&self, ticket: Ticket) -> Option<(&Arc<Invocation>, Option<&Progress>)> {
        match self.held.get(&ticket.cid)? {
            Held::Waiting { invocation, number, progress } if *number == ticket.number => {
                Some((invocation, progress.as_deref()))
            }
            _ => None,
        }
    }

    /// Moves on whatever a timer has rung for.
    pub(super) fn ring(&mut self, now: Instant) {
        while let Some((ticket, alarm)) = self.timers.ring(now) {
            let Some((invocation, progress)) = self.still_waiting(ticket) else { continue };
            match alarm {
                Alarm::Due => {
                    let invocation = invocation.clone();
                    self.queues.push(&invocation, ticket);
                }
                // It concerns the first start alone.
                Alarm::Expired if progress.is_none() => self.to_end.push_back((ticket, Task::Expire)),
                Alarm::Expired => {}
                Alarm::Deadline => self.to_end.push_back((ticket, Task::TimeOut)),
            }
        }
    }

    /// When the next timer rings, if there is one.
    pub(super) fn next_ring(&self) -> Option<Instant> {
        self.timers.next()
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
                    if self.running < self.max_running && self.queues.is_clear(&callback.service) {
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

    /// Ends a group whose members have all ended; answers with its callbacks.
    fn end_group(&mut self, (group, rows): &Full) -> (Arc<Ended>, Batch<Arc<Invocation>>) {
        let (ended, callbacks) = match &self.join {
            Some(join) => join.join(group, rows),
            None => (self.cancelled(group.clone(), 0, "no one joins its members"), Batch::new()),
        };
        (self.end(ended), callbacks)
    }

    fn end(&mut self, ended: Ended) -> Arc<Ended> {
        let ended = Arc::new(ended);
        if !self.tell.is_empty()
            && let Some(waiters) = self.tell.remove(&ended.invocation.cid)
        {
            for waiter in waiters {
                // Who no longer listens needs no answer.
                let _ = waiter.send(ended.outcome.clone());
            }
        }
        self.remember(ended.clone());
        ended
    }

    fn remember(&mut self, ended: Arc<Ended>) {
        let response = ended.outcome.payload().map_or(0, Payload::len);
        self.remembered.push(ended.invocation.cid, ended.invocation.payload.len() + response);
        self.held.insert(ended.invocation.cid, Held::Ended(ended));
        while let Some(oldest) = self.remembered.pop_surplus() {
            self.forgotten.extend(self.held.remove(&oldest));
        }
    }

    /// What is to be dropped once the lock is released.
    pub(super) fn take_forgotten(&mut self) -> Forgotten {
        std::mem::take(&mut self.forgotten)
    }

    /// Whether a worker that waits should look.
    pub(super) fn can_deliver(&self) -> bool {
        !self.to_end.is_empty() || (!self.queues.is_empty() && self.running < self.max_running)
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.running == 0
    }

    /// Ends everything that has not ended as `Cancelled`; answers how many there were.
    pub(super) fn close(&mut self) -> usize {
        self.draining = true;
        self.closed = true;
        self.queues = Queues::default();
        self.timers = Timers::default();
        self.to_end.clear();
        self.groups.clear();
        let left: Vec<_> = self
            .held
            .values()
            .filter_map(|held| match held {
                Held::Waiting { invocation, progress, .. } => {
                    Some((invocation.clone(), progress.as_ref().map_or(0, |progress| progress.attempts)))
                }
                Held::Open(invocation) => Some((invocation.clone(), 0)),
                Held::Delivered { invocation, attempt, .. } => Some((invocation.clone(), *attempt)),
                Held::Ended(_) => None,
            })
            .collect();
        (self.running, self.waiting, self.waiting_bytes) = (0, 0, 0);
        let count = left.len();
        for (invocation, attempts) in left {
            let why = "the runtime was shut down before it ended, and `memory:` keeps nothing";
            self.end(self.cancelled(invocation, attempts, why));
        }
        count
    }

    fn cancelled(&self, invocation: Arc<Invocation>, attempts: u32, why: &str) -> Ended {
        let outcome = Outcome::Cancelled(Ending::new(why, false));
        Ended { invocation, outcome, attempts, started_at: None, ended_at: self.clock.now() }
    }
}
