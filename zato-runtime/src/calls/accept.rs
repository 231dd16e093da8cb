//! Accepts one call: checks it, resolves its callbacks, mints its CID and hands it to the engine.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use smallvec::smallvec;
use tokio::sync::oneshot;
use zato_core::bus::{Admission, Call, Chosen, Step};
use zato_core::{
    CallError, Channel, Cid, Context, Invocation, Labels, Moment, Names, OptionError, Options, Outcome,
    Payload, ServiceName, When,
};

use crate::bus::core::BusCore;
use crate::bus::observer::Observer;
use crate::engine::{Accepted, Refused};
use crate::record::{Accept, AttemptId};
use crate::registry::Entry;

/// A call that nothing more can be said against before it is an invocation.
pub(crate) struct Checked<'a> {
    /// The service that is to run it.
    pub(crate) service: ServiceName,
    /// The same where this process has it. Another process may host it.
    pub(crate) target: Option<&'a Entry>,
    payload: Payload,
    callbacks: Names,
    on_failure: Names,
    cid: Cid,
    at: Moment,
    brings_cid: bool,
    new_root: bool,
    /// The labels that the call attaches, beside those that it inherits.
    pub(crate) labels: Labels,
    options: Option<Box<Options>>,
}

/// Checks all of a call that can be checked before it runs, but for what it asks for beside.
///
/// # Errors
///
/// [`CallError`] if the target or a callback is unknown, the payload cannot be sent or the context is over.
pub(crate) fn check<'a>(
    shared: &'a BusCore,
    from: Option<&Context>,
    call: Call<'_>,
    channel: Channel,
) -> Result<Checked<'a>, CallError> {
    if let Some(context) = from.filter(|context| context.has_returned()) {
        return Err(context_over(context));
    }
    let (service, target) = match channel {
        // Whoever waits for the response waits for this process.
        Channel::Invoke => {
            let entry = linked(shared, "target", &call.target)?;
            (entry.name, Some(entry))
        }
        _ => known(shared, "target", &call.target)?,
    };
    let Admission { new_root, cid, labels, refused, .. } =
        call.admission.map_or_else(Admission::default, |admission| *admission);
    if let Some(refused) = refused {
        return Err(refused.into());
    }
    let payload =
        call.payload.map_err(|source| CallError::Unwritable { service: service.to_string(), source })?;
    if payload.len() > shared.config.max_payload {
        return Err(CallError::TooLarge {
            service: service.to_string(),
            bytes: payload.len(),
            limit: shared.config.max_payload,
        });
    }
    let caller = from.and_then(|context| shared.registry.get(context.service()));
    let callbacks = match channel {
        Channel::Invoke => Names::new(),
        _ => {
            resolve(shared, "callback", &call.callbacks, caller.and_then(|caller| caller.callback.as_ref()))?
        }
    };
    let on_failure = match channel {
        Channel::Invoke => Names::new(),
        _ => resolve(
            shared,
            "failure callback",
            &call.on_failure,
            caller.and_then(|caller| caller.on_failure.as_ref()),
        )?,
    };
    let at = shared.config.clock.now();
    let brings_cid = cid.is_some();
    let cid = cid.unwrap_or_else(|| shared.mint(at, from.map(Context::cid)));
    Ok(Checked {
        service,
        target,
        payload,
        callbacks,
        on_failure,
        cid,
        at,
        brings_cid,
        new_root,
        labels,
        options: call.options,
    })
}

impl Checked<'_> {
    /// The invocation that it becomes.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the tree is too deep, it has too many labels, or it would be due after its deadline.
    pub(crate) fn invocation(
        self,
        shared: &BusCore,
        from: Option<&Context>,
        channel: Channel,
    ) -> Result<Arc<Invocation>, CallError> {
        let Self { service, payload, cid, at, .. } = self;
        let mut invocation = match from {
            None => Invocation::root_at(cid, service, payload, channel, at),
            Some(context) => context.invocation().child_at(cid, service, payload, channel, at),
        };
        if self.new_root {
            invocation.root = cid;
            invocation.depth = 0;
            invocation.deadline = None;
            invocation.labels = Labels::default();
        }
        if !self.labels.is_empty() {
            invocation.labels = invocation.labels.and(&self.labels).map_err(OptionError::from)?;
        }
        if invocation.depth > shared.config.max_depth {
            return Err(CallError::TooDeep {
                service: service.to_string(),
                depth: invocation.depth,
                limit: shared.config.max_depth,
            });
        }
        if let Some(options) = self.options {
            set_options(shared, &mut invocation, options)?;
        }
        invocation.callbacks = self.callbacks;
        invocation.on_failure = self.on_failure;
        Ok(Arc::new(invocation))
    }
}

/// Times become times of day, and a caller's earlier deadline holds.
fn set_options(
    shared: &BusCore,
    invocation: &mut Invocation,
    mut options: Box<Options>,
) -> Result<(), CallError> {
    shared.config.clock.look();
    let now = shared.config.clock.system_time();
    if let Some(expires) = &mut options.expires {
        *expires = When::At(expires.from(now));
    }
    invocation.due = options.due.take().map(|due| Moment::from(due.from(now)));
    let (inherited, own) = (invocation.deadline, options.deadline.take().map(Moment::from));
    invocation.deadline = [inherited, own].into_iter().flatten().min();
    if let (Some(deadline), Some(due)) = (invocation.deadline, invocation.due)
        && due >= deadline
    {
        let is_inherited = inherited.is_some_and(|inherited| due >= inherited);
        return Err(CallError::DueAfterDeadline { service: invocation.service.to_string(), is_inherited });
    }
    // What asked for times alone holds no more than it must.
    invocation.options = Some(options).filter(|options| **options != Options::default());
    Ok(())
}

/// The CID of what was accepted, or why it was not.
pub(crate) type Receipt<'a> = Step<'a, Result<Cid, CallError>>;

/// Accepts an asynchronous call.
pub(crate) fn accept<'a>(shared: &'a BusCore, from: Option<&'a Context>, call: Call<'_>) -> Receipt<'a> {
    match check(shared, from, call, Channel::InvokeAsync) {
        Ok(checked) if is_greedy(from) => Step::later(async move {
            tokio::task::yield_now().await;
            accept_checked(shared, from, checked).await
        }),
        Ok(checked) => accept_checked(shared, from, checked),
        Err(refused) => Step::now(Err(refused)),
    }
}

fn accept_checked<'a>(shared: &'a BusCore, from: Option<&'a Context>, checked: Checked<'a>) -> Receipt<'a> {
    let brings_cid = checked.brings_cid;
    match checked.invocation(shared, from, Channel::InvokeAsync) {
        Ok(invocation) => {
            enter(shared, from, invocation, AcceptExtras { brings_cid, ..AcceptExtras::default() })
        }
        Err(refused) => Step::now(Err(refused)),
    }
}

/// Accepts a synchronous call from outside, and says how its outcome will be told.
pub(crate) fn accept_told<'a>(
    shared: &'a BusCore,
    call: Call<'_>,
) -> Result<(Receipt<'a>, oneshot::Receiver<Outcome>), CallError> {
    let invocation = check(shared, None, call, Channel::Invoke)?.invocation(shared, None, Channel::Invoke)?;
    let (tell, told) = oneshot::channel();
    Ok((submit(shared, None, invocation, AcceptExtras { tell: Some(tell), ..AcceptExtras::default() }), told))
}

/// What goes to the engine beside an invocation.
#[derive(Default)]
pub(crate) struct AcceptExtras {
    /// Who is told the outcome.
    pub(crate) tell: Option<oneshot::Sender<Outcome>>,
    /// Whether the caller brought the CID.
    pub(crate) brings_cid: bool,
    /// For a group: how many members it has.
    pub(crate) members: Option<u32>,
}

/// Has the engine accept an invocation, or a group of so many members.
pub(crate) fn submit<'a>(
    shared: &'a BusCore,
    from: Option<&'a Context>,
    invocation: Arc<Invocation>,
    beside: AcceptExtras,
) -> Receipt<'a> {
    if is_greedy(from) {
        return Step::later(async move {
            tokio::task::yield_now().await;
            enter(shared, from, invocation, beside).await
        });
    }
    enter(shared, from, invocation, beside)
}

fn enter<'a>(
    shared: &'a BusCore,
    from: Option<&'a Context>,
    invocation: Arc<Invocation>,
    beside: AcceptExtras,
) -> Receipt<'a> {
    let entering = Announced::new(shared, invocation.cid, invocation.root, invocation.channel);
    let by = from.map(AttemptId::around);
    let (cid, service, again_of) = (invocation.cid, invocation.service, invocation.again_of());
    let AcceptExtras { tell, brings_cid, members } = beside;
    let digests = shared.digests();
    let digest = from.filter(|context| compares_calls(shared, context)).map(|_| digests.call(&invocation));
    let key = digests.key(&invocation);
    let accept = Accept { invocation, by, tell, brings_cid, key, digest, members };
    let answered = move |answer: Result<Accepted, Refused>| match answer {
        // It has been made already, by an earlier attempt or under the same key.
        Ok(Accepted { repeats: Some(child), .. }) => Ok(child),
        Ok(accepted) => {
            entering.taken();
            if let (Some(observer), Some(ended)) = (&shared.observer, &accepted.ended) {
                observer.ended(ended);
            }
            Ok(cid)
        }
        Err(Refused::CidTaken) => Err(CallError::CidTaken(cid)),
        Err(Refused::NotDead) => {
            let why = "it has just been run again or discarded".to_owned();
            Err(CallError::NotDead { cid: again_of.unwrap_or(cid), why })
        }
        Err(Refused::KeyConflict { first }) => {
            Err(CallError::KeyConflict { service: service.to_string(), first })
        }
        Err(Refused::Store(fault)) => Err(fault.of_call(Some(cid))),
        Err(refused) => Err(call_error(shared, &refused, from)),
    };
    match shared.engine.accept_one(accept) {
        Step::Now(answer) => Step::now(answered(answer.unwrap_or(Err(Refused::Draining)))),
        Step::Later(answer) => Step::later(async move { answered(answer.await) }),
    }
}

/// Whether a thread has made so many calls from outside that it is somebody else's turn: a loop of calls that never wait
/// would keep its thread from everything else.
fn is_greedy(from: Option<&Context>) -> bool {
    thread_local!(static CALLS: Cell<u8> = const { Cell::new(0) });
    from.is_none()
        && CALLS.with(|calls| {
            calls.set(calls.get().wrapping_add(1));
            calls.get() == 0
        })
}

/// An invocation that a door has been told of, until it is known whether the engine takes it. A caller may stop
/// waiting before.
pub(crate) struct Announced<'a>(Option<(&'a dyn Observer, Cid, Cid, Channel)>);

impl<'a> Announced<'a> {
    pub(crate) fn new(shared: &'a BusCore, cid: Cid, root: Cid, channel: Channel) -> Self {
        Self(shared.observer.as_deref().map(|observer| {
            observer.entering(cid, root, channel);
            (observer, cid, root, channel)
        }))
    }

    /// The engine has it.
    pub(crate) fn taken(mut self) {
        self.0 = None;
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        if let Some((observer, cid, root, channel)) = self.0 {
            observer.refused(cid, root, channel);
        }
    }
}

/// What a caller is told of a refusal.
pub(crate) fn call_error(shared: &BusCore, refused: &Refused, from: Option<&Context>) -> CallError {
    match *refused {
        Refused::Full { waiting, bytes } => CallError::Full { waiting, bytes },
        Refused::Store(ref fault) => fault.of_call(None),
        Refused::Over => from.map_or_else(|| shared.not_taking(), context_over),
        Refused::Draining
        | Refused::Incomplete { .. }
        | Refused::CidTaken
        | Refused::NotDead
        | Refused::KeyConflict { .. } => shared.not_taking(),
    }
}

/// What a call on a context gets whose attempt is over.
pub(crate) fn context_over(context: &Context) -> CallError {
    CallError::Over { service: context.service().to_owned(), cid: context.cid() }
}

/// A service of this process.
fn linked<'a>(shared: &'a BusCore, role: &'static str, name: &str) -> Result<&'a Entry, CallError> {
    shared.registry.get(name).ok_or_else(|| shared.registry.unknown(role, name).into())
}

/// A service of this process, or one that another process has announced: what is invoked of that is parked until a
/// process runs that hosts it. Another process may have known a service of this one by another name.
fn known<'a>(
    shared: &'a BusCore,
    role: &'static str,
    name: &str,
) -> Result<(ServiceName, Option<&'a Entry>), CallError> {
    match linked(shared, role, name) {
        Ok(entry) => Ok((entry.name, Some(entry))),
        Err(unknown) => {
            let now = shared.engine.announced(name).ok_or(unknown)?;
            Ok((now, shared.registry.get(&now)))
        }
    }
}

/// The services that a call names for a role, or the one by convention.
pub(crate) fn resolve(
    shared: &BusCore,
    role: &'static str,
    chosen: &Chosen<'_>,
    convention: Option<&ServiceName>,
) -> Result<Names, CallError> {
    let known = |name: &Cow<'_, str>| known(shared, role, name).map(|(name, _)| name);
    match chosen {
        Chosen::Convention => Ok(convention.map_or_else(Names::new, |name| smallvec![*name])),
        // Nearly always: to collect one takes longer than to find it.
        Chosen::One(name) => Ok(smallvec![known(name)?]),
        Chosen::These(names) => names.iter().map(known).collect(),
    }
}

/// Whether the calls of this context are compared with those of other attempts of the same handler. An engine that
/// keeps what was called is asked when a handler is run again. One that does not is told of every call of a handler
/// that may be run again, by a retry; of a synchronous call that is not known: it is run again with the one around
/// it.
pub(super) fn compares_calls(shared: &BusCore, context: &Context) -> bool {
    if shared.is_durable() {
        return context.anchor().1 > 1;
    }
    context.level() > 0 || shared.policy(context.invocation()).max_attempts > Some(1)
}
