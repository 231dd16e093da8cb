//! The trait that every engine implements, and what it promises.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use zato_core::bus::Step;
use zato_core::{CallError, Cid, Invocation, Outcome, ServiceName};

use crate::record::lookup::{Counts, DiscardAnswer, Filter, InvocationInfo, Tree};
use crate::record::{Accept, AttemptId, Batch, CancelAnswer, Delivery, Ended, Hosted, Join, Settle};

/// What is done once a settle is recorded, or cannot be any more; answers with what is to be run now.
pub type OnRecorded = Box<dyn FnOnce(Result<Settled, LeaseLost>) -> Batch<Delivery> + Send>;

/// Wakes one of those who are to ask an engine for what can be handed out, if one sleeps.
pub type WakeWorker = Arc<dyn Fn() + Send + Sync>;

/// Receives the time at which the next timer rings: something that waits may start then, or is to be ended without being run.
/// It receives a time that is earlier than what it has received since [`Engine::deliver_ends`] was last called. It is called
/// under the lock of an engine, and asks that engine for nothing.
pub type OnEnds = Arc<dyn Fn(Instant) + Send + Sync>;

/// What can be asked of what an engine holds, in the process that runs it and beside it.
///
/// What was written before is seen, by CID and by parent; by tree, service and state it may lag.
pub trait LookUps: Send + Sync + std::fmt::Debug {
    /// Where invocations stand; `None` for what is not held.
    ///
    /// # Errors
    ///
    /// Here and below, [`StoreFault`] if what is kept cannot be read.
    fn find(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<Option<InvocationInfo>>, StoreFault>>;

    /// Everything that is held of the tree with this root.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    fn tree(&self, root: Cid) -> Step<'_, Result<Tree, StoreFault>>;

    /// What is held and passes the filter, the newest first.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    fn list(&self, filter: &Filter) -> Step<'_, Result<Vec<InvocationInfo>, StoreFault>>;
}

/// What can be asked of a store that a process runs, from outside of it, or that none does.
pub trait ReadOnlyStore: LookUps {
    /// How many are held that have not ended.
    ///
    /// # Errors
    ///
    /// [`StoreFault`] if what is kept cannot be read.
    fn counts(&self) -> Step<'_, Result<Counts, StoreFault>>;

    /// The invocations whose CID ends with these lower-case hexadecimal digits, without hyphens: `most` of them at most.
    /// Looks at every invocation.
    ///
    /// # Errors
    ///
    /// [`StoreFault`] if what is kept cannot be read.
    fn ending_with(&self, digits: &str, most: usize) -> Step<'_, Result<Vec<Cid>, StoreFault>>;

    /// Whether a process runs what is held.
    fn is_run(&self) -> bool;
}

/// What holds invocations between the caller and the worker.
///
/// Every verb but `settle` takes a batch and answers item by item, in order. What all engines promise:
///
/// - An invocation that [`accept`](Self::accept) took is handed out by [`deliver`](Self::deliver) (or granted,
///   see below) as one attempt at a time, and is [settled](Self::settle) once.
/// - A settle is one step: the outcome is recorded and the callbacks are accepted, or neither is.
/// - What is below something that has not ended is not forgotten.
/// - A lease that is lost cannot settle, and an attempt that is over cannot have calls accepted.
/// - Services take turns. Within one goes first what has the higher priority, then what was due earlier, then what was
///   accepted earlier. What has a concurrency key runs one at a time in the order in which it was accepted, and keeps
///   the key until it has ended. What may not start, because of its key, because its service is paused or because no
///   process hosts it, stands in nobody's way.
///
/// **Grants.** `accept` and `settle` ask to start what they create. An engine grants that if the service is
/// hosted here, a place to run is free, and nothing of that service waits ahead of it: the place is taken in
/// the same step. What a settle started is for who settles; what an accept started comes out of `deliver`, so that
/// there is one way to a worker.
///
/// **Groups** carry fan-in. A group is a record with a CID; its members are [staged](Self::stage) in chunks, and
/// accepting the group accepts them all. A member's invocation names its group and its slot, and the settle that
/// fills the last slot ends the group and creates its callbacks in the same step. A settle that creates an invocation
/// with the slot of the one that has ended does not fill it: it passes it on, as a chain does from step to step.
pub trait Engine: LookUps {
    /// The engine's URL, for messages.
    fn url(&self) -> &str;

    /// What the engine can do beyond what every engine does.
    fn capabilities(&self) -> &[Capability];

    /// Says which services this process hosts; only these are delivered to it. Called once, before all else.
    /// `join` makes the end of a group. `ring` wakes whoever is to ask for what can be handed out, where
    /// [`deliver`](Self::deliver) does not.
    ///
    /// # Errors
    ///
    /// [`StoreFault`] if what the process before this one has left cannot be read.
    fn announce(&self, services: &[Hosted], join: Arc<dyn Join>, ring: WakeWorker) -> Result<(), StoreFault>;

    /// The service that has or had this name, by its name of today, if some process has announced it, this one or
    /// another, and the engine keeps that. What is accepted of a service that this process does not host waits for one
    /// that does.
    fn announced(&self, _name: &str) -> Option<ServiceName> {
        None
    }

    /// Holds members of a group that is not accepted yet, in the order of their slots; they do not run before.
    /// They count as waiting. What is staged for a group that is never accepted is dropped at
    /// [`unstage`](Self::unstage), and by an engine that keeps what it holds when it is opened again.
    ///
    /// # Errors
    ///
    /// [`Refused::Full`] if there is no room, as for a call of a handler; none of the chunk is held then.
    fn stage(&self, group: Cid, members: Vec<Arc<Invocation>>) -> Step<'_, Result<(), Refused>>;

    /// Lets go of what a settled attempt that [overruns](Settle::overruns) still held: its handler has been dropped.
    fn release(&self, attempt: AttemptId);

    /// Has nothing of a service start until it is resumed, or has it start again. What runs goes on. An engine that
    /// keeps what it holds keeps this too.
    ///
    /// # Errors
    ///
    /// [`StoreFault`] if that cannot be recorded: whether it will hold in the next process is unknown.
    fn pause(&self, service: &ServiceName, paused: bool) -> Step<'_, Result<(), StoreFault>>;

    /// Waits until so many more invocations from outside may be staged, with so many bytes of payload: until there is
    /// room, or nothing else waits.
    fn room(&self, members: usize, bytes: usize) -> Step<'_, ()>;

    /// Drops what was staged for a group that will not be accepted.
    fn unstage(&self, group: Cid) -> Step<'_, ()>;

    /// Takes invocations, and answers when each is as safe as this engine makes it. A synchronous call from outside is recorded
    /// when it ends: nobody but its caller, in this process, has a use for it.
    ///
    /// Calls from outside wait for room, in the order of coming; groups have been staged and wait no more. Calls from
    /// handlers never wait: they may pass the bound up to twice.
    ///
    /// # Errors
    ///
    /// Item by item, [`Refused`]. What was refused is not held.
    fn accept(&self, batch: Batch<Accept>) -> Step<'_, Batch<Result<Accepted, Refused>>>;

    /// The same for one alone, as calls come one by one.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    fn accept_one(&self, accept: Accept) -> Step<'_, Result<Accepted, Refused>> {
        let answers = self.accept(Batch::from_buf([accept]));
        Step::later(async move { answers.await.pop().unwrap_or(Err(Refused::Draining)) })
    }

    /// Hands out at most `most` attempts that are to be made now; waits until there is one. Answers with none where it is
    /// to be asked again: something may have become due.
    ///
    /// An engine may ring instead of ending the wait, once there is one: so who waits gives the wait up then, and asks
    /// again. It rings for what came after the call.
    ///
    /// What can be handed out is handed out by the call itself, so its answer must be awaited; dropping a wait
    /// loses nothing.
    fn deliver(&self, most: usize) -> Step<'_, Batch<Delivery>>;

    /// Whether the engine wakes a worker ([`WakeWorker`]) whenever something can be handed out. Otherwise it ends a wait in
    /// [`deliver`](Self::deliver), and a worker that does not wait there is not woken.
    fn wakes_workers(&self) -> bool {
        false
    }

    /// Sets who receives the time of the next timer. Called once, before all else but [`announce`](Self::announce).
    fn on_ends(&self, tell: OnEnds);

    /// Hands out what waits and is to be ended now without being run, a part of it where that is much, and says when the next
    /// timer rings. Wakes a worker where something may start. [`deliver`](Self::deliver) hands out the same, to whoever comes
    /// first: this is for somebody who asks where handlers block workers that have waited for a timer.
    fn deliver_ends(&self) -> (Batch<Delivery>, Option<Instant>);

    /// Records that the handler of an attempt begins now, where that must be known before it does: of an invocation during
    /// which a process has died ([`Delivery::begin_is_recorded`]). Answers when that is recorded, and the handler is to
    /// begin at once. Answers `false` where it is not to begin: the engine has put it back, or somebody has ended it.
    fn begin(&self, _delivery: &Delivery) -> Step<'_, bool> {
        Step::now(true)
    }

    /// The handler of an attempt whose begin is recorded is polled right after this call: it has begun.
    fn begins(&self, _attempt: AttemptId) {}

    /// Records an outcome and all that follows from it: one, as attempts end one by one, and nobody waits for it. Answers
    /// where it is recorded at once. Otherwise what `then` makes is called when it is, once and in whatever thread, and
    /// what that answers comes out of [`deliver`](Self::deliver).
    ///
    /// # Errors
    ///
    /// [`LeaseLost`]: the attempt had been ended by somebody else, and nothing was recorded.
    fn settle(
        &self,
        settle: Settle,
        then: &mut dyn FnMut() -> OnRecorded,
    ) -> Option<Result<Settled, LeaseLost>>;

    /// Cancels what waits, and notes of what runs that it is to stop: it is not tried again, and
    /// `with_tree` what it still invokes is cancelled at once. `None` for what is not held.
    ///
    /// # Errors
    ///
    /// [`StoreFault`] if that cannot be recorded: whether it is cancelled is unknown then.
    fn cancel(
        &self,
        batch: Batch<Cid>,
        with_tree: bool,
    ) -> Step<'_, Result<Batch<Option<CancelAnswer>>, StoreFault>>;

    /// Everything that is held of the tree below an invocation and has not ended.
    ///
    /// # Errors
    ///
    /// [`StoreFault`] if what is kept cannot be read.
    fn below(&self, cid: Cid) -> Step<'_, Result<Vec<Cid>, StoreFault>>;

    /// Whether this attempt runs, in this process, and has not been settled.
    fn is_running(&self, attempt: AttemptId) -> bool;

    /// Waits for the outcome of an invocation; `None` at once if it is not held.
    ///
    /// # Errors
    ///
    /// [`StoreFault`] if what is kept cannot be read.
    fn outcome(&self, cid: Cid) -> Step<'_, Result<Option<Outcome>, StoreFault>>;

    /// Resolves when an invocation that is recorded when it ends, a synchronous call from outside, waits for what cannot be
    /// written at present, or never will be: its end, or what was started before it. Never does where nothing is kept.
    fn unrecorded(&self, _cid: Cid) -> Step<'_, StoreFault> {
        self.damaged()
    }

    /// Resolves when nothing can be recorded any more, because what is kept is damaged: then nobody need wait for an
    /// outcome. Never does where nothing is kept.
    fn damaged(&self) -> Step<'_, StoreFault> {
        Step::later(std::future::pending())
    }

    /// Forgets dead letters.
    ///
    /// # Errors
    ///
    /// [`StoreFault`] if that cannot be recorded: whether they are forgotten is unknown then.
    fn discard(&self, batch: Batch<Cid>) -> Step<'_, Result<Batch<DiscardAnswer>, StoreFault>>;

    /// Takes nothing more from outside, and waits until all that this engine finishes at a shutdown has ended. The call
    /// itself refuses; only the wait is in the future.
    ///
    /// An engine that keeps what it holds starts nothing from then on, and records what runs, so that the death of the
    /// process during the shutdown does not count as a loss. It goes on with synchronous calls from outside: those are not
    /// kept for another process.
    fn drain(&self) -> Step<'_, ()>;

    /// Returns how many attempts run, and how many invocations wait.
    fn load(&self) -> (usize, usize);

    /// Delivers what is not due within this time, from now on and until the engine closes, to be ended as
    /// [`Task::GiveUp`](crate::record::Task::GiveUp), where this engine does not keep it. Called when a shutdown begins: it
    /// does not wait for what it cannot finish.
    fn give_up_after(&self, _: Duration) {}

    /// Delivers what waits to be ended as [`Task::GiveUp`](crate::record::Task::GiveUp), where this engine does not keep it,
    /// but for callbacks that may still start. Returns what runs, for the caller to end. Called near the limit of a
    /// shutdown.
    fn give_up(&self) -> Vec<Delivery> {
        Vec::new()
    }

    /// Delivers nothing more, and returns all that has not ended, where this engine does not keep it, for the caller to
    /// settle. Called at the end of a shutdown, again until nothing is left: a settle may create callbacks.
    fn abandon(&self) -> Vec<Delivery> {
        Vec::new()
    }

    /// Ends this process's part in the engine and answers how many invocations were ended as `Cancelled`
    /// because this engine does not keep them. Nothing is delivered afterwards.
    fn close(&self) -> usize;
}

/// What an engine may be able to do, and a program may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// What was accepted is still held after the process has died.
    Durable,
    /// Several processes work on the same invocations.
    Shared,
}

/// An invocation that was taken.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Accepted {
    /// Whether it was started in the same step.
    pub started: bool,
    /// How it ended in the same step: a group without members.
    pub ended: Option<Arc<Ended>>,
    /// It was not taken, because this call has been made already, by an earlier attempt or under the same
    /// idempotency key: its CID.
    pub repeats: Option<Cid>,
}

/// Why an invocation was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// As much waits as may.
    #[error("the engine is full: {waiting} invocations wait, with {bytes} bytes")]
    Full {
        /// How many wait.
        waiting: usize,
        /// How many bytes of payload they hold.
        bytes: usize,
    },
    /// The engine takes nothing more from outside.
    #[error("the engine is draining")]
    Draining,
    /// The attempt that asks is over.
    #[error("the calling attempt has ended")]
    Over,
    /// The CID that the caller brought is held already.
    #[error("the CID is already in use")]
    CidTaken,
    /// It is to run a dead letter again that is none, or has been run again already.
    #[error("the invocation to run again is not a dead letter")]
    NotDead,
    /// Another call was made under the same idempotency key.
    #[error("another call was made under the same idempotency key: {first}")]
    KeyConflict {
        /// The CID of that call.
        first: Cid,
    },
    /// What is kept could not be written, or not be read. Whether the invocation was taken is unknown, unless the fault
    /// [says that nothing was changed](StoreFault::before_any_change).
    #[error("{}: {}", if .0.is_before_any_change() { "the call was not accepted" } else { "whether the call was accepted is unknown" }, .0)]
    Store(StoreFault),
    /// A group was to be accepted with another number of members than were staged.
    #[error("{staged} members were staged for a group of {members}")]
    Incomplete {
        /// How many were staged.
        staged: usize,
        /// How many there were to be.
        members: u32,
    },
}

/// What an engine keeps cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct StoreFault {
    why: Arc<str>,
    /// Whether it came before anything was changed.
    is_before_any_change: bool,
}

impl StoreFault {
    /// What is wrong, with the cure. Whether anything has been changed is unknown.
    pub fn new(why: &impl std::fmt::Display) -> Self {
        Self { why: why.to_string().into(), is_before_any_change: false }
    }

    /// The same fault, of something that was refused before anything was changed.
    #[must_use]
    pub fn before_any_change(self) -> Self {
        Self { is_before_any_change: true, ..self }
    }

    /// The same fault, of something of which a part has been done.
    #[must_use]
    pub(crate) fn after_a_change(self) -> Self {
        Self { is_before_any_change: false, ..self }
    }

    /// Whether nothing was changed of what was asked for.
    pub fn is_before_any_change(&self) -> bool {
        self.is_before_any_change
    }

    /// What the caller receives who asked for this.
    pub(crate) fn of_call(&self, cid: Option<Cid>) -> CallError {
        let error = self.to_string();
        if self.is_before_any_change {
            CallError::Unavailable { error }
        } else {
            CallError::Store { cid, error }
        }
    }
}

/// An outcome that was recorded.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Settled {
    /// What the settle created and the engine started: for the worker that settled to run.
    pub granted: Batch<Delivery>,
    /// The group that it ended, if it filled the last slot of one.
    pub joined: Option<Arc<Ended>>,
}

/// The attempt had been ended by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is lost: the attempt was ended before it was settled")]
pub struct LeaseLost;

impl From<StoreFault> for Refused {
    fn from(fault: StoreFault) -> Self {
        Self::Store(fault)
    }
}

impl Accepted {
    /// Taken; `started` or `ended` if it was in the same step.
    pub fn new(started: bool, ended: Option<Arc<Ended>>) -> Self {
        Self { started, ended, repeats: None }
    }

    /// Not taken: this call has been made already, under this CID.
    pub fn repeats(child: Cid) -> Self {
        Self { started: false, ended: None, repeats: Some(child) }
    }
}
