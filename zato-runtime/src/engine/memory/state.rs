//! What the memory engine holds, and every change of it. One lock guards it all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;
use tokio::sync::oneshot;
use zato_core::{Cid, Ending, Invocation, Outcome, Payload};

use super::ended::Remembered;
use super::groups::{Full, Groups};
use super::queues::Queues;
use crate::config::Config;
use crate::engine::contract::{LeaseLost, Refused, Settled};
use crate::record::{Accept, AttemptId, Batch, Delivery, Ended, Found, Join, Lease, Settle};

pub(super) struct State {
    held: HashMap<Cid, Held, foldhash::fast::RandomState>,
    waiting: Queues,
    groups: Groups,
    join: Option<Arc<dyn Join>>,
    running: usize,
    remembered: Remembered,
    /// Who is to be told of an outcome that is not there yet.
    tell: HashMap<Cid, Vec<oneshot::Sender<Outcome>>>,
    /// What is no longer remembered, until somebody drops it outside of the lock.
    forgotten: Forgotten,
    /// The number of the last lease.
    last_lease: u64,
    /// Set when a shutdown begins: calls from outside are refused.
    pub(super) draining: bool,
    /// Set when a shutdown ends: nothing is accepted or delivered.
    closed: bool,
    max_running: usize,
    max_waiting: usize,
    max_waiting_bytes: usize,
}

/// What is to be dropped: freeing memory takes longer than all else that is done under the lock.
pub(super) type Forgotten = SmallVec<[Held; 2]>;

/// An invocation and where it stands.
#[derive(Debug)]
pub(super) enum Held {
    Waiting(Arc<Invocation>),
    Running {
        invocation: Arc<Invocation>,
        attempt: u32,
        lease: Lease,
    },
    /// A group with members that have not ended.
    Open(Arc<Invocation>),
    Ended(Arc<Ended>),
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
            waiting: Queues::default(),
            groups: Groups::default(),
            join: None,
            running: 0,
            remembered: Remembered::new(config.keep_ended, config.keep_ended_bytes),
            tell: HashMap::new(),
            forgotten: Forgotten::new(),
            last_lease: 0,
            draining: false,
            closed: false,
            max_running: config.max_running,
            max_waiting: config.max_waiting,
            max_waiting_bytes: config.max_waiting_bytes,
        }
    }

    /// Who makes the ends of groups.
    pub(super) fn announce(&mut self, join: Arc<dyn Join>) {
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
        self.enqueue(accept.invocation);
        Ok(())
    }

    /// Whether so many more may wait, within so many times the bounds.
    fn has_room(&self, more: usize, more_bytes: usize, within: usize) -> Result<(), Refused> {
        let (staged, staged_bytes) = self.groups.staged();
        let (waiting, bytes) = (self.waiting.count() + staged, self.waiting.bytes() + staged_bytes);
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
            self.enqueue(member);
        }
        self.held.insert(group.cid, Held::Open(group.clone()));
        if let Some(full) = self.groups.open(group, members) {
            let (_, callbacks) = self.end_group(&full);
            callbacks.into_iter().for_each(|callback| self.enqueue(callback));
        }
        Ok(())
    }

    fn enqueue(&mut self, invocation: Arc<Invocation>) {
        self.held.insert(invocation.cid, Held::Waiting(invocation.clone()));
        self.waiting.push(invocation);
    }

    /// Starts what is to start next, if there is a place for it to run.
    pub(super) fn start_next(&mut self) -> Option<Delivery> {
        if self.running >= self.max_running || self.closed {
            return None;
        }
        let invocation = self.waiting.pop()?;
        Some(self.start(invocation))
    }

    fn start(&mut self, invocation: Arc<Invocation>) -> Delivery {
        self.last_lease += 1;
        self.running += 1;
        let delivery = Delivery { invocation, attempt: 1, lease: Lease(self.last_lease) };
        let held = Held::Running {
            invocation: delivery.invocation.clone(),
            attempt: delivery.attempt,
            lease: delivery.lease,
        };
        self.held.insert(delivery.invocation.cid, held);
        delivery
    }

    /// Records an outcome and accepts its callbacks; starts those that nothing waits ahead of.
    pub(super) fn settle(&mut self, settle: Settle) -> Result<Settled, LeaseLost> {
        let cid = settle.ended.invocation.cid;
        match self.held.get(&cid) {
            Some(Held::Running { lease, .. }) if *lease == settle.lease => {}
            _ => return Err(LeaseLost),
        }
        self.running -= 1;
        for inner in settle.inner {
            self.remember(Arc::new(inner));
        }
        let mut settled = Settled::default();
        let mut created = settle.callbacks;
        let slot = settle.ended.invocation.slot;
        let ended = self.end(settle.ended);
        if let Some(full) = slot.and_then(|slot| self.groups.fill(slot, &ended)) {
            let (group, callbacks) = self.end_group(&full);
            settled.joined = Some(group);
            created.extend(callbacks);
        }
        for callback in created {
            if self.running < self.max_running && self.waiting.is_clear(&callback.service) {
                settled.granted.push(self.start(callback));
            } else {
                self.enqueue(callback);
            }
        }
        Ok(settled)
    }

    /// Ends a group whose members have all ended; answers with its callbacks.
    fn end_group(&mut self, (group, rows): &Full) -> (Arc<Ended>, Batch<Arc<Invocation>>) {
        let (ended, callbacks) = match &self.join {
            Some(join) => join.join(group, rows),
            None => (cancelled(group.clone(), 0, "no one joins its members"), Batch::new()),
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

    pub(super) fn is_running(&self, attempt: AttemptId) -> bool {
        matches!(self.held.get(&attempt.cid), Some(Held::Running { attempt: number, .. }) if *number == attempt.number)
    }

    /// The outcome, or who will be told of it; `None` if the invocation is not held.
    pub(super) fn outcome(&mut self, cid: Cid) -> Option<Result<Outcome, oneshot::Receiver<Outcome>>> {
        match self.held.get(&cid)? {
            Held::Ended(ended) => Some(Ok(ended.outcome.clone())),
            Held::Waiting(_) | Held::Running { .. } | Held::Open(_) => {
                let (tell, told) = oneshot::channel();
                self.tell.entry(cid).or_default().push(tell);
                Some(Err(told))
            }
        }
    }

    pub(super) fn find(&self, cid: Cid) -> Option<Found> {
        Some(match self.held.get(&cid)? {
            Held::Waiting(invocation) => Found::Waiting(invocation.clone()),
            Held::Running { invocation, attempt, .. } => Found::Running(invocation.clone(), *attempt),
            Held::Open(invocation) => {
                Found::Open(invocation.clone(), self.groups.left(cid).unwrap_or_default())
            }
            Held::Ended(ended) => Found::Ended(ended.clone()),
        })
    }

    /// Whether a worker that waits should look.
    pub(super) fn can_start(&self) -> bool {
        self.waiting.count() > 0 && self.running < self.max_running
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.count() == 0 && self.running == 0
    }

    /// Ends everything that has not ended as `Cancelled`; answers how many there were.
    pub(super) fn close(&mut self) -> usize {
        self.draining = true;
        self.closed = true;
        while self.waiting.pop().is_some() {}
        self.groups.clear();
        let left: Vec<_> = self
            .held
            .values()
            .filter_map(|held| match held {
                Held::Waiting(invocation) | Held::Open(invocation) => Some((invocation.clone(), 0)),
                Held::Running { invocation, attempt, .. } => Some((invocation.clone(), *attempt)),
                Held::Ended(_) => None,
            })
            .collect();
        self.running = 0;
        let count = left.len();
        for (invocation, attempts) in left {
            self.end(cancelled(
                invocation,
                attempts,
                "the runtime was shut down before it ended, and `memory:` keeps nothing",
            ));
        }
        count
    }
}

fn cancelled(invocation: Arc<Invocation>, attempts: u32, why: &str) -> Ended {
    let outcome = Outcome::Cancelled(Ending::new(why, false));
    Ended { invocation, outcome, attempts, started_at: None, ended_at: SystemTime::now() }
}
