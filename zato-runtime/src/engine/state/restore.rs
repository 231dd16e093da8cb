//! Restores entries from a store that is opened again.

use std::sync::Arc;
use std::time::SystemTime;

use zato_core::{Cid, Invocation};

use super::entry::{BlockedBy, Cancel, Delivered, Entry, Waiting};
use super::place::Ticket;
use super::state::State;
use super::store::Pending;
use super::store::Store;
use super::times::ends_at;
use crate::record::{Delivery, Ended, Progress, Task, Tried, is_recorded_at_end};

impl<S: Store> State<S> {
    /// Holds one again whose turn is near, or that ran when the process before this one ended: it was started before all
    /// that waits. The services are announced.
    pub(in crate::engine) fn restore(&mut self, left: Pending) {
        let ticket = self.hold_again(left);
        self.move_up(ticket);
    }

    /// Has one ended that is held again and is not to run. A synchronous call from outside is recorded before its end only by
    /// programs of before, and its caller has gone with its process.
    pub(super) fn end_unless_it_runs(&mut self, ticket: Ticket, is_cancelled: bool) {
        let Some(waiting) = self.still_waiting(ticket) else { return };
        let losses = waiting.before.as_ref().map_or(0, |before| before.losses);
        let (now, is_tried) = (self.clock.system_time(), waiting.before.is_some());
        let deadline = waiting.invocation.deadline.map(SystemTime::from);
        let task = if is_cancelled {
            Task::Cancel
        } else if deadline.is_some_and(|deadline| deadline <= now) {
            Task::TimeOut
        } else if ends_at(&waiting.invocation, is_tried).is_some_and(|ends| ends <= now) {
            Task::Expire
        } else if self.has_lost_all(waiting, losses) || is_recorded_at_end(&waiting.invocation) {
            Task::Lose
        } else {
            return;
        };
        self.end_soon(ticket, task);
    }

    /// Notes that the process died during an attempt. That is a loss, unless a shutdown had begun: then whatever ended the
    /// process did so because it was shutting down.
    pub(super) fn lost(
        &mut self,
        invocation: &Invocation,
        before: Option<&Progress>,
        max_losses: Option<u32>,
        (number, started_at): (u32, SystemTime),
        was_draining: bool,
    ) -> Arc<Progress> {
        let error =
            if was_draining { "its process ended during a shutdown" } else { "its process ended during it" };
        let mut progress = self.cut_short(invocation, before, number, started_at, error);
        progress.losses += u32::from(!was_draining);
        progress.max_losses = max_losses;
        self.store.again(invocation.cid, &progress);
        Arc::new(progress)
    }

    /// With an attempt that did not end by itself, and does not count.
    fn cut_short(
        &self,
        invocation: &Invocation,
        before: Option<&Progress>,
        number: u32,
        started_at: SystemTime,
        error: &str,
    ) -> Progress {
        let ended_at = self.clock.system_time();
        let tried = Tried { number, started_at, ended_at, error: error.into(), code: None, counts: false };
        // It stands where it stood, before what came after it.
        let stood_since = invocation.due.unwrap_or(invocation.called_at);
        Progress::and(before, tried, Some(stood_since.into()))
    }

    /// Whether what waits may not be started again after so many deaths of its process. The limit is the one that was
    /// recorded when it was accepted; a process that does not know it leaves the decision to one that hosts the service.
    fn has_lost_all(&self, waiting: &Waiting, losses: u32) -> bool {
        let Waiting { invocation, before, service, .. } = waiting;
        let recorded = before.as_ref().and_then(|before| before.max_losses);
        let limit = recorded.or_else(|| self.queues.max_losses(*service, invocation));
        losses > 0 && limit.is_some_and(|limit| losses >= limit)
    }

    /// Whether what is to start may be what kills the process, and another such runs: it waits for that.
    pub(in crate::engine) fn defer_suspect(&mut self, ticket: Ticket) -> bool {
        // What is not written down has never lost its process.
        if !S::WRITES_DOWN {
            return false;
        }
        let Some(waiting) = self.still_waiting(ticket) else { return false };
        let losses = waiting.before.as_ref().map_or(0, |before| before.losses);
        if losses == 0 || !self.has_lost_all(waiting, losses + 1) {
            return false;
        }
        let service = waiting.service;
        if self.suspect.is_none() {
            self.suspect = Some(ticket.cid);
            return false;
        }
        self.set_hold(ticket.cid, BlockedBy::Suspect);
        self.suspects.push_back(ticket);
        self.queues.set_aside(service);
        true
    }

    /// An attempt has ended: the next suspect may run, if this was one.
    pub(in crate::engine) fn clear_suspect(&mut self, cid: Cid) {
        if self.suspect.is_some_and(|suspect| suspect != cid) {
            return;
        }
        self.suspect = None;
        while let Some(next) = self.suspects.pop_front() {
            if self.still_waiting(next).is_some_and(|waiting| waiting.hold == BlockedBy::Suspect) {
                self.line_up_now(next);
                return;
            }
        }
    }

    /// Opens again a group of members that have not all ended; `members` are theirs in the order of the slots, and how
    /// those ended that have.
    pub(in crate::engine) fn restore_group(
        &mut self,
        group: Pending,
        members: Vec<(Cid, Option<Arc<Ended>>)>,
    ) {
        let Pending { invocation, is_cancelled, hidden_by, .. } = group;
        let cid = invocation.cid;
        if let Some(by) = hidden_by {
            self.hidden.insert(cid, by);
        }
        self.held.insert(cid, Entry::Open(invocation.clone()));
        // One that is full was ended in the step that filled it.
        let _ = self.groups.open(invocation, members.iter().map(|(cid, _)| *cid).collect());
        for ended in members.into_iter().filter_map(|(_, ended)| ended) {
            if let Some(slot) = ended.invocation.slot {
                let _ = self.groups.fill(slot, &ended);
            }
        }
        if is_cancelled {
            self.groups.cancel(cid);
        }
    }

    /// Puts back what was handed out to be run and has not been begun: it does not count.
    pub(in crate::engine) fn put_back(&mut self, delivery: &Delivery) {
        let cid = delivery.invocation.cid;
        let Some(Entry::Delivered(delivered)) = self.held.get(&cid) else { return };
        if delivered.number != delivery.lease.number {
            return;
        }
        let (service, before) = (delivered.service, delivered.before.clone());
        let is_cancelled = delivered.cancel != Cancel::No;
        self.running -= 1;
        self.queues.ended(service);
        self.store.again(cid, &before.as_deref().cloned().unwrap_or_default());
        self.clear_suspect(cid);
        let (invocation, ticket) = (delivery.invocation.clone(), self.ticket(cid));
        self.set_timers(ticket, &invocation, Some(invocation.called_at.into()));
        self.queues.push(service, &invocation, ticket);
        self.wait(
            ticket,
            Waiting { invocation, before, number: ticket.number, service, hold: BlockedBy::Turn },
        );
        if is_cancelled {
            self.end_soon(ticket, Task::Cancel);
        }
    }

    /// Ends this process's part: what still runs is cut off, does not count, and waits for the next process. Answers
    /// how many there were.
    pub(in crate::engine) fn leave(&mut self) -> usize {
        (self.draining, self.starts_nothing, self.closed) = (true, true, true);
        let error = "cut off by a shutdown";
        let cut_off = |delivered: &Delivered| {
            let before = delivered.before.as_deref();
            self.cut_short(
                &delivered.invocation,
                before,
                delivered.attempt(),
                delivered.started_at.into(),
                error,
            )
        };
        let running: Vec<_> = self
            .held
            .all_held()
            .filter_map(|held| match held {
                Entry::Delivered(delivered) if delivered.runs && delivered.has_begun => {
                    Some((delivered.invocation.cid, cut_off(delivered)))
                }
                _ => None,
            })
            .collect();
        for (cid, progress) in &running {
            self.store.again(*cid, progress);
        }
        self.tell.clear();
        running.len()
    }
}
