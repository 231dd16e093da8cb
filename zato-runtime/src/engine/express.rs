//! What an engine offers that lets simple calls pass by what it holds.

use std::any::Any;
use std::sync::Arc;

use zato_core::{Channel, Cid, Invocation, Moment, Names, Payload, ServiceName, Slot};

use crate::record::{AttemptId, Delivery, Ended};

/// An invocation that asks for nothing but to be run: of a service without limits, due at once, without a deadline,
/// options, labels, a group, or somebody who waits for it.
#[derive(Debug, Clone)]
pub struct Plain {
    /// What to run.
    pub invocation: Arc<Invocation>,
    /// The number of its service, as they were [set up](Express::set_up).
    pub service: u32,
}

impl Plain {
    /// Whether an invocation asks for nothing but to be run.
    #[inline]
    pub fn is_one(invocation: &Invocation) -> bool {
        matches!(invocation, Invocation { due: None, deadline: None, options: None, slot: None, .. })
            && invocation.labels.is_empty()
    }
}

/// A call from outside that asks for nothing but to be run, and at most one service to be told of its response, and one of a
/// failure.
#[derive(Debug)]
pub struct PlainCall {
    /// What it is to run under.
    pub cid: Cid,
    /// When it was called.
    pub called_at: Moment,
    /// Its request.
    pub payload: Payload,
    /// Who receives its response.
    pub callback: Option<ServiceName>,
    /// Who is told if it ends in anything but success.
    pub on_failure: Option<ServiceName>,
}

impl PlainCall {
    /// The invocation that it becomes, of this service.
    #[inline]
    #[must_use]
    pub fn invocation(self, service: ServiceName) -> Invocation {
        let Self { cid, called_at, payload, callback, on_failure } = self;
        let mut invocation = Invocation::root_at(cid, service, payload, Channel::InvokeAsync, called_at);
        push(&mut invocation.callbacks, callback);
        push(&mut invocation.on_failure, on_failure);
        invocation
    }
}

/// A member of a group from outside that asks for nothing but to be run, and at most one service to be told of how it
/// ended.
#[derive(Debug)]
pub struct PlainMember {
    /// What it is to run under.
    pub cid: Cid,
    /// When it was called.
    pub called_at: Moment,
    /// Its request.
    pub payload: Payload,
    /// Who is told of its outcome, whatever that is.
    pub told: Option<ServiceName>,
    /// The number of its service.
    pub service: u32,
}

impl PlainMember {
    /// The invocation that it becomes, of this service.
    #[inline]
    #[must_use]
    pub fn invocation(self, service: ServiceName, slot: Slot) -> Invocation {
        let Self { cid, called_at, payload, told, .. } = self;
        let mut invocation = Invocation::root_at(cid, service, payload, Channel::InvokeAsync, called_at);
        invocation.root = slot.group;
        invocation.slot = Some(slot);
        push(&mut invocation.callbacks, told);
        push(&mut invocation.on_failure, told);
        invocation
    }
}

/// To extend by none or one takes several times as long.
#[inline]
fn push(names: &mut Names, name: Option<ServiceName>) {
    if let Some(name) = name {
        names.push(name);
    }
}

/// What follows from one that has completed.
#[derive(Debug)]
pub enum Follows {
    /// Nothing. This is its response.
    Nothing(Payload),
    /// This, which carries its response.
    Callback(Plain),
    /// Something that may not pass. This is its response.
    Barred(Payload),
}

/// One that a worker has begun.
#[derive(Debug)]
pub struct Begun {
    /// What is run.
    pub invocation: Arc<Invocation>,
    /// Since when.
    pub started_at: Moment,
}

/// Asked what follows from one that has completed with a response.
pub type Follow<'a> = &'a mut dyn FnMut(&Begun, Payload) -> Follows;

/// What one that has completed has led to.
#[derive(Debug, Default)]
pub struct Passed {
    /// This runs from now on.
    pub next: Option<Plain>,
    /// The group has ended of which it was the last member.
    pub joined: Option<Arc<Ended>>,
}

/// What a worker is given.
#[derive(Debug, Default)]
pub struct Given {
    /// The first, which it has begun.
    pub first: Option<Plain>,
    /// How many they are.
    pub count: usize,
}

/// What a worker had in hand was put back.
#[derive(Debug)]
pub struct PutBack {
    /// The group has ended of which the worker had run the last member before.
    pub joined: Option<Arc<Ended>>,
}

/// One that goes on outside of the worker that has begun it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// That worker.
    pub worker: usize,
    /// Its number there.
    pub number: u32,
}

/// One goes on outside of the worker that has begun it.
#[derive(Debug)]
pub struct SetOut {
    /// Where it is found.
    pub place: Place,
    /// The group has ended of which the worker had run the last member before.
    pub joined: Option<Arc<Ended>>,
}

/// Hears of each that goes on and is entered: it may be asked to stop from then on. Called under a lock.
pub type OnEntered = dyn Fn(AttemptId, Arc<dyn Any + Send + Sync>) + Send + Sync;

/// The way past the state of an engine.
///
/// As long as nobody looks, an invocation that asks for nothing need not be entered where everything is found, counted,
/// held up and cancelled: it goes from its caller to a worker, and what it came to is written down when it has ended. All of
/// it is still held. Whoever asks the engine for anything has it entered first, in the order in which it came, so that nothing
/// that can be asked or done tells one way from the other; what is entered goes on as everything else does. The way is
/// closed while anything waits that could be started, so that nothing overtakes.
pub trait Express: Send + Sync {
    /// Says how many workers there are, and which services there are: each with whether plain invocations of it may come.
    /// Called once, before any does.
    fn set_up(&self, workers: usize, services: &[(ServiceName, bool)], on_entered: Box<OnEntered>);

    /// Takes a call of this service.
    ///
    /// # Errors
    ///
    /// It comes back where the way is closed, or full: it is to be accepted.
    fn push(&self, service: u32, call: PlainCall) -> Result<(), PlainCall>;

    /// Takes a group from outside with its members, in the order of their slots.
    ///
    /// # Errors
    ///
    /// They come back where the way is closed, or there is no room for them: the group is to be accepted.
    fn push_group(&self, group: &Arc<Invocation>, members: Vec<PlainMember>) -> Result<(), Vec<PlainMember>>;

    /// Gives a worker that has nothing in hand up to `most`, the first of which runs from `now` on. None where something
    /// else is due.
    fn take(&self, worker: usize, most: usize, now: Moment) -> Given;

    /// The next that a worker has in hand; it runs from `now` on.
    fn begin(&self, worker: usize, now: Moment) -> Option<Plain>;

    /// Records that the one which a worker has begun has completed at a time with a response, together with what `follow`
    /// says follows from that: its callback runs from then on, if that has no others before it. `follow` is
    /// asked under a lock, so it asks the engine for nothing.
    ///
    /// # Errors
    ///
    /// The response comes back, and nothing is recorded: somebody has looked meanwhile, or its callback may not pass. It is
    /// to be [promoted](Express::promote) and settled.
    fn end(
        &self,
        worker: usize,
        response: Payload,
        at: Moment,
        follow: Follow<'_>,
    ) -> Result<Passed, Payload>;

    /// Has the one which a worker has begun go on by itself, since it waits for something; [`OnEntered`] is handed `whom` if
    /// it is entered before it has ended. None where it may not: it is to be [promoted](Express::promote).
    fn set_out(&self, worker: usize, whom: Arc<dyn Any + Send + Sync>) -> Option<SetOut>;

    /// The same as [`end`](Express::end) for one that went on by itself. Whatever follows is for the workers.
    ///
    /// # Errors
    ///
    /// The response comes back, and nothing is recorded. It is to be [promoted](Express::promote_outside) and settled.
    fn end_outside(
        &self,
        place: Place,
        response: Payload,
        at: Moment,
        follow: Follow<'_>,
    ) -> Result<Passed, Payload>;

    /// Enters one that went on by itself and has ended, or answers with what it was entered as.
    fn promote_outside(&self, place: Place) -> Option<Delivery>;

    /// Enters the one which a worker has begun, which goes on as a delivery does.
    fn promote(&self, worker: usize) -> Option<Delivery>;

    /// How many a worker has in hand and has not begun.
    fn in_hand(&self, worker: usize) -> usize;

    /// Has others take what a worker has in hand and has not begun; none where there is nothing.
    fn put_back(&self, worker: usize) -> Option<PutBack>;
}
