//! The state: entries are handed out and settled. One lock guards all of it.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio::time::Instant;
use zato_core::{Cid, Invocation, Moment, Outcome};

use super::call_dedup::CallDedup;
use super::deferred::Deferred;
use super::entry::Overrun;
use super::entry::{BlockedBy, Cancel, Delivered, Entry, Waiting};
use super::expiry_cursor::ExpiryCursor;
use super::groups::Groups;
use super::place::Place;
use super::place::Ticket;
use super::queues::Queues;
use super::spill_reads::{Evictions, ReadRaceLog};
use super::store::{Accepted, Store};
use super::table::{Node, Table};
use super::timers::Timers;
use crate::base::cid::CidMap;
use crate::base::clock::Clock;
use crate::config::Config;
use crate::engine::contract::{LeaseLost, Settled};
use crate::record::{
    AttemptId, Delivery, Hosted, Join, Lease, Progress, Settle, Task, Tried, Verdict, has_lost,
};

#[expect(clippy::struct_excessive_bools, reason = "each says another thing, and all can be at once")]
pub(in crate::engine) struct State<S> {
    /// Told of every change.
    pub(in crate::engine) store: S,
    /// What is held, and what is kept: who comes from whom.
    pub(in crate::engine) held: Table,
    /// What may start as soon as there is a place.
    pub(in crate::engine) queues: Queues,
    pub(in crate::engine) timers: Timers,
    /// What is to be ended without being run.
    pub(in crate::engine) to_end: VecDeque<(Ticket, Task)>,
    pub(in crate::engine) groups: Groups,
    pub(in crate::engine) call_dedup: CallDedup,
    /// What was invoked inside a synchronous call, which is not held until the attempt around it is settled, and
    /// the invocation whose attempt that is.
    pub(in crate::engine) hidden: CidMap<Cid>,
    /// Attempts that are settled and hold on to their places.
    pub(in crate::engine) overruns: HashMap<AttemptId, Overrun>,
    pub(in crate::engine) join: Option<Arc<dyn Join>>,
    /// How many wait, whether they may start or not and wherever they are, and how many bytes of payload they hold. Less
    /// than none while what an earlier process has left is being counted.
    pub(in crate::engine) waiting: i64,
    pub(in crate::engine) waiting_bytes: i64,
    /// How many have been delivered and are not settled, and how many linger.
    pub(in crate::engine) running: usize,
    /// Who is to be told of an outcome that is not there yet.
    pub(in crate::engine) tell: CidMap<Vec<oneshot::Sender<Outcome>>>,
    /// What is left to do once the lock is released.
    pub(in crate::engine) deferred: Deferred,
    /// The number of the last ticket or lease.
    pub(in crate::engine) last_number: u64,
    /// Set when a shutdown begins: calls from outside are refused.
    pub(in crate::engine) draining: bool,
    /// Set when a shutdown begins that leaves what waits to the next process: nothing is started.
    pub(in crate::engine) starts_nothing: bool,
    /// Set when a shutdown begins that keeps nothing: what is due later is ended without being run.
    pub(in crate::engine) gives_up_after: Option<SystemTime>,
    /// The one that runs and may be what kills the process, and those that wait for its end.
    pub(in crate::engine) suspect: Option<Cid>,
    pub(in crate::engine) suspects: VecDeque<Ticket>,
    /// Set when a shutdown ends: nothing is accepted or delivered.
    pub(in crate::engine) closed: bool,
    /// Until when all has been found due, whatever the clock says now: what came to be due stays so.
    pub(in crate::engine) due_until: SystemTime,
    /// When somebody is to look next whether a time has come, and for which time that was found. Written by whoever
    /// asks, removed when that has passed.
    pub(in crate::engine) looks_at: Cell<Option<(Moment, Instant)>>,
    /// The earliest timer that somebody outside of the workers has been told of, and has not come for.
    pub(super) told_timer: Option<Moment>,
    /// The same of the time at which a service whose rate is used up may start something.
    pub(super) told_rate: Option<Instant>,
    /// What is held until it is written, beside what is beyond its queue.
    pub(in crate::engine) leaving: Evictions,
    /// What is written down alone and is to be ended at some time.
    pub(in crate::engine) expiry_cursor: ExpiryCursor,
    /// The lanes of which it could not be read who is next.
    pub(in crate::engine) keyless_lanes: Vec<(u32, Box<str>)>,
    /// Whether every lane that is written down has one that has its key, as far as an earlier process is concerned.
    pub(in crate::engine) has_mended: bool,
    /// Whether nobody is about to look at those again.
    pub(in crate::engine) is_to_mend: bool,
    /// What has happened to what was held since something is being read.
    pub(in crate::engine) race_log: ReadRaceLog,
    pub(in crate::engine) clock: Clock,
    pub(in crate::engine) max_running: usize,
    pub(in crate::engine) max_waiting: usize,
    pub(in crate::engine) max_waiting_bytes: usize,
}

impl<S: Store> State<S> {
    pub(in crate::engine) fn new(config: &Config, max_waiting: usize, store: S) -> Self {
        Self {
            store,
            held: Table::default(),
            queues: Queues::new(config.window),
            timers: Timers::default(),
            to_end: VecDeque::new(),
            groups: Groups::default(),
            call_dedup: CallDedup::default(),
            hidden: CidMap::default(),
            overruns: HashMap::new(),
            join: None,
            waiting: 0,
            waiting_bytes: 0,
            running: 0,
            tell: CidMap::default(),
            deferred: Deferred::default(),
            last_number: 0,
            draining: false,
            starts_nothing: false,
            gives_up_after: None,
            suspect: None,
            suspects: VecDeque::new(),
            closed: false,
            due_until: SystemTime::UNIX_EPOCH,
            looks_at: Cell::new(None),
            told_timer: None,
            told_rate: None,
            leaving: Evictions::default(),
            expiry_cursor: ExpiryCursor::default(),
            keyless_lanes: Vec::new(),
            has_mended: true,
            is_to_mend: false,
            race_log: ReadRaceLog::default(),
            clock: config.clock.clone(),
            max_running: config.max_running,
            max_waiting,
            max_waiting_bytes: config.max_waiting_bytes,
        }
    }

    /// Which services are hosted, and who makes the ends of groups.
    pub(in crate::engine) fn announce(&mut self, services: &[Hosted], join: Arc<dyn Join>) {
        self.queues.announce(services);
        self.join = Some(join);
    }

    /// Delivers what is to be delivered next, if there is a place for it to run.
    pub(in crate::engine) fn deliver_next(&mut self, now: Moment) -> Option<Delivery> {
        if self.closed {
            return None;
        }
        if let Some(delivery) = self.deliver_end(now) {
            return Some(delivery);
        }
        if self.running >= self.max_running || (self.starts_nothing && !self.waits_in_memory()) {
            return None;
        }
        loop {
            let (held, store, starts_nothing) = (&self.held, &self.store, self.starts_nothing);
            // A shutdown leaves what is written down to the next process.
            let starts = |waiting: &Waiting| !starts_nothing || store.is_in_memory(&waiting.invocation);
            let waits = |ticket: &Ticket| held.waiting(ticket.place, ticket.number).is_some_and(starts);
            let ticket = self.queues.pop(waits)?;
            if !self.defer_suspect(ticket) {
                return self.deliver(ticket, Task::Run, now);
            }
        }
    }

    /// Delivers what is to be ended next without being run.
    pub(super) fn deliver_end(&mut self, now: Moment) -> Option<Delivery> {
        while let Some((ticket, task)) = self.to_end.pop_front() {
            if let Some(delivery) = self.deliver(ticket, task, now) {
                return Some(delivery);
            }
        }
        None
    }

    /// Delivers what waits under this ticket, if it still does.
    pub(super) fn deliver(&mut self, ticket: Ticket, task: Task, now: Moment) -> Option<Delivery> {
        let lease = ticket.place.lease(self.next_number());
        let held = self.held.held_mut(ticket.place)?;
        let Entry::Waiting(Waiting { invocation, before, number, service, hold }) = held else { return None };
        if *number != ticket.number {
            return None;
        }
        let (service, counts, bytes) = (*service, *hold != BlockedBy::Restart, invocation.payload.len());
        let (invocation, before) = (invocation.clone(), before.take());
        let (delivered, delivery) = begun(invocation, service, before, lease, task, now);
        // Where it is held already, it is looked up once.
        *held = Entry::Delivered(delivered);
        if counts {
            self.count_out(service, bytes);
        }
        self.clear_void();
        self.note_start(service, &delivery);
        Some(delivery)
    }

    /// Starts one that has never waited.
    fn start(
        &mut self,
        invocation: Arc<Invocation>,
        service: u32,
        now: Moment,
        near: Option<(Cid, Place)>,
    ) -> Delivery {
        let place = self.held.place_of(invocation.cid);
        let lease = place.lease(self.next_number());
        let (delivered, delivery) = begun(invocation, service, None, lease, Task::Run, now);
        self.held.put(place, Node::Held(Entry::Delivered(delivered)));
        self.link(place, self.above(&delivery.invocation), near);
        self.note_start(service, &delivery);
        delivery
    }

    fn note_start(&mut self, service: u32, delivery: &Delivery) {
        if delivery.task == Task::Run {
            self.queues.started(service);
            if S::WRITES_DOWN && self.queues.of(service).rate.is_some() {
                self.store.last_started(&delivery.invocation.service, delivery.started_at);
            }
            if !has_lost(delivery.before.as_deref()) {
                self.store.started(delivery.id(), delivery.started_at);
            }
        }
        self.running += 1;
    }

    /// Records that the handler of a delivery begins, unless it is not to begin any more: then it waits again, if nobody has
    /// ended it.
    pub(in crate::engine) fn begin(&mut self, delivery: &Delivery) -> bool {
        let (id, now) = (delivery.id(), self.clock.now());
        let starts_nothing = self.starts_nothing;
        let Some(Entry::Delivered(delivered)) = self.held.get_mut(&id.cid) else { return false };
        if delivered.number != delivery.lease.number {
            return false;
        }
        if starts_nothing {
            self.put_back(delivery);
            return false;
        }
        (delivered.has_begun, delivered.started_at) = (true, now);
        self.store.started(id, now);
        true
    }

    /// Records what follows from an attempt; starts those callbacks that nothing waits ahead of.
    pub(in crate::engine) fn settle(&mut self, settle: Settle) -> Result<Settled, LeaseLost> {
        let place = Place::of(settle.lease);
        let (service, runs, id) = match self.held.at(place) {
            Some(Node::Held(Entry::Delivered(delivered))) if delivered.number == settle.lease.number => {
                let id = AttemptId { cid: settle.cid, number: delivered.attempt() };
                (delivered.service, delivered.runs, id)
            }
            _ => return Err(LeaseLost),
        };
        if settle.overruns {
            if let Some(held) = self.held.get(&settle.cid) {
                let invocation = held.invocation().clone();
                self.overruns.insert(id, Overrun::new(service, invocation));
            }
        } else {
            self.running -= 1;
            if runs {
                self.queues.ended(service);
            }
        }
        self.clear_suspect(settle.cid);
        let ends = matches!(settle.verdict, Verdict::End { .. });
        for inner in settle.inner {
            // The attempt around it ends in the same step, so nothing that has not ended is above it.
            if ends && self.hidden.is_empty() && self.store.keep_unindexed(&inner) {
                continue;
            }
            let number = self.next_number();
            self.end_inside(inner, number);
        }
        let mut settled = Settled::default();
        match settle.verdict {
            Verdict::Retry { at, tried } => self.wait_again(id, at, tried),
            Verdict::End { ended, callbacks } => {
                let mut created = callbacks;
                let slot = ended.invocation.slot;
                let next = slot.and_then(|slot| created.iter().find(|next| next.slot == Some(slot)));
                let next = next.map(|next| next.cid);
                let ended_at = ended.ended_at;
                let full = if let (Some(slot), None) = (slot, next) {
                    self.end_member(place, slot, ended)
                } else {
                    self.end_at(place, ended);
                    None
                };
                if let Some(full) = full {
                    let (group, callbacks) = self.end_group(&full);
                    settled.joined = Some(group);
                    created.extend(callbacks);
                }
                let is_cut_short = slot.zip(next).is_some_and(|(slot, next)| self.groups.pass(slot, next));
                for callback in created {
                    if is_cut_short && Some(callback.cid) == next {
                        let cid = callback.cid;
                        self.hold(callback, Some((id.cid, place)));
                        self.cancel_held(cid, false);
                        continue;
                    }
                    // The worker that settles has two hands: what it cannot begin at once is for the others.
                    let service = self.queues.number(&callback.service);
                    let has_place =
                        !self.starts_nothing && settled.granted.is_empty() && self.running < self.max_running;
                    if has_place && callback.options.is_none() && self.queues.takes_at_once(service) {
                        let number = self.next_number();
                        let priority = self.queues.priority(service, &callback);
                        let invocation = &callback;
                        self.store.accepted(Accepted {
                            number,
                            invocation,
                            is_group: false,
                            hidden_by: None,
                            priority,
                            max_losses: self.queues.max_losses(service, invocation),
                            is_behind: false,
                        });
                        settled.granted.push(self.start(callback, service, ended_at, Some((id.cid, place))));
                    } else {
                        self.hold(callback, Some((id.cid, place)));
                    }
                }
                self.finish_end(place);
                if let Some(group) =
                    settled.joined.as_ref().and_then(|group| self.held.place(&group.invocation.cid))
                {
                    self.finish_end(group);
                }
            }
        }
        Ok(settled)
    }

    /// Has the attempt that is over followed by another.
    fn wait_again(&mut self, id: AttemptId, at: Option<SystemTime>, tried: Tried) {
        let Some(Entry::Delivered(delivered)) = self.held.get(&id.cid) else { return };
        let (invocation, service) = (delivered.invocation.clone(), delivered.service);
        let before = Some(Arc::new(Progress::and(delivered.before.as_deref(), tried, at)));
        let is_cancelled = delivered.cancel != Cancel::No;
        if let Some(before) = &before {
            self.store.again(id.cid, before);
        }
        let ticket = self.ticket(id.cid);
        if let Some(deadline) = invocation.deadline {
            self.set_deadline(deadline, ticket);
        }
        let hold = match (at, self.overruns.get_mut(&id)) {
            (_, Some(lingering)) => {
                lingering.next = Some(ticket);
                BlockedBy::Release
            }
            (None, None) => BlockedBy::Restart,
            (Some(at), None) => self.line_up(service, &invocation, ticket, Some(at)),
        };
        self.wait(
            ticket,
            Waiting { invocation: invocation.clone(), before, number: ticket.number, service, hold },
        );
        if hold == BlockedBy::Restart {
            self.hold_lane_back(service, &invocation);
        }
        if is_cancelled {
            self.end_soon(ticket, Task::Cancel);
        }
    }

    /// A shutdown begins that leaves what waits to the next process: nothing of it is started any more, and what runs is
    /// recorded. What is held in memory alone goes on.
    pub(in crate::engine) fn drain(&mut self) {
        let is_first = !std::mem::replace(&mut self.starts_nothing, true);
        self.draining = true;
        if is_first && self.running > 0 {
            self.store.draining();
        }
        if is_first {
            self.queues.reads_no_more();
            self.move_up_all_in_memory();
        }
    }

    /// Returns how many run, and how many wait.
    pub(in crate::engine) fn load(&self) -> (usize, usize) {
        (self.running, usize::try_from(self.waiting).unwrap_or_default())
    }

    /// Whether a worker that waits should look.
    pub(in crate::engine) fn can_deliver(&self) -> bool {
        !self.to_end.is_empty() || (!self.queues.is_empty() && self.running < self.max_running)
    }

    /// How many can be started at the most.
    pub(in crate::engine) fn startable(&self) -> usize {
        self.queues.len()
    }

    /// Whether nothing runs, and nothing waits that may ever run in this process as it is.
    pub(in crate::engine) fn is_idle(&self) -> bool {
        self.running == 0
            && self.to_end.is_empty()
            && !self.expiry_cursor.is_read()
            && if self.starts_nothing {
                !self.waits_in_memory()
            } else {
                usize::try_from(self.waiting) == Ok(self.queues.stuck())
            }
    }
}

/// What is held of an attempt that begins, and what is handed out.
fn begun(
    invocation: Arc<Invocation>,
    service: u32,
    before: Option<Arc<Progress>>,
    lease: Lease,
    task: Task,
    started_at: Moment,
) -> (Delivered, Delivery) {
    let runs = task == Task::Run;
    let attempt = before.as_ref().map_or(0, |before| before.attempts) + u32::from(runs);
    let delivered = Delivered {
        invocation: invocation.clone(),
        before: before.clone(),
        number: lease.number,
        service,
        started_at,
        runs,
        has_begun: runs && !has_lost(before.as_deref()),
        cancel: Cancel::No,
    };
    (delivered, Delivery { invocation, attempt, before, started_at, lease, task })
}
