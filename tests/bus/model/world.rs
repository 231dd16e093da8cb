//! The world that scripts run in: services that follow them, and a log of all that happens.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::time::{Instant, sleep};
use zato_core::{Channel, Context, Failure, Payload, Registration, Result, service};
use zato_runtime::{CallError, Cancellation, Cid, FailureReport, Outcome, Runtime};

use super::script::{
    Answer, Call, EACH, End, Group, LAST, REPLIES, REPORTS, Request, Script, Step, TARGETS, Whom,
};

/// Everything that a handler sees of its invocation.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) cid: Cid,
    pub(crate) attempt: u32,
    pub(crate) service: String,
    pub(crate) channel: Channel,
    pub(crate) in_reply_to: Option<Cid>,
    pub(crate) parent: Option<Cid>,
    pub(crate) root: Cid,
    pub(crate) caller: Option<String>,
    pub(crate) deadline: Option<SystemTime>,
    pub(crate) payload: Payload,
}

/// How a call was made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum How {
    Async,
    Sync,
    Member,
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A call is about to be made, by a handler or from outside.
    Asked {
        token: u64,
        by: Option<Cid>,
        how: How,
        call: Arc<Call>,
    },
    /// Calls that were asked are about to be made as a group.
    AskedAll {
        token: u64,
        by: Option<Cid>,
        members: Vec<u64>,
        group: Arc<Group>,
    },
    Taken {
        token: u64,
        answer: Result<Cid, String>,
    },
    /// A synchronous call has returned: the token of the answer, or whether the failure is permanent.
    Returned {
        token: u64,
        answer: Result<u64, bool>,
    },
    Began(Run),
    /// A handler has learnt that it is to stop.
    Told {
        cid: Cid,
    },
    /// How an attempt ended by itself; not at all if it was dropped.
    Left {
        cid: Cid,
        how: Option<End>,
    },
    Cancelling {
        id: u64,
        cid: Cid,
        with_tree: bool,
    },
    CancelAnswered {
        id: u64,
        answer: Result<Cancellation, String>,
    },
    Ended {
        cid: Cid,
        outcome: Option<Outcome>,
    },
    ShutdownBegan {
        limit: u64,
    },
    ShutdownEnded,
    /// What the bus says of a CID when all is over.
    Remembered {
        cid: Cid,
        outcome: Option<Outcome>,
    },
}

/// What happened, in its order and with its time in milliseconds: a resource of all services.
#[derive(Clone)]
pub(crate) struct Log(Arc<Inner>);

struct Inner {
    began: (Instant, SystemTime),
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: Vec<(u64, Event)>,
    last_token: u64,
    known: Vec<Cid>,
    watched: BTreeSet<Cid>,
    runtime: Option<Runtime>,
}

impl Log {
    pub(crate) fn new(wall: SystemTime) -> Self {
        Self(Arc::new(Inner { began: (Instant::now(), wall), state: Mutex::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wall(&self) -> SystemTime {
        self.0.began.1
    }

    pub(crate) fn push(&self, event: Event) {
        let at = u64::try_from(self.0.began.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state().events.push((at, event));
    }

    fn token(&self) -> u64 {
        let mut state = self.state();
        state.last_token += 1;
        state.last_token
    }

    pub(crate) fn known(&self) -> Vec<Cid> {
        self.state().known.clone()
    }

    /// Waiters are told by this bus; without one, the log is as good as closed.
    pub(crate) fn set_runtime(&self, runtime: Option<Runtime>) {
        let before = std::mem::replace(&mut self.state().runtime, runtime);
        drop(before);
    }

    pub(crate) fn take(&self) -> Vec<(u64, Event)> {
        std::mem::take(&mut self.state().events)
    }

    /// Notes a CID, and has somebody wait for its outcome.
    fn watch(&self, cid: Cid) {
        let mut state = self.state();
        if !state.watched.insert(cid) {
            return;
        }
        state.known.push(cid);
        let Some(runtime) = state.runtime.clone() else { return };
        let log = self.clone();
        tokio::spawn(async move {
            let outcome = runtime.outcome(cid).await.ok();
            drop(runtime);
            log.push(Event::Ended { cid, outcome });
        });
    }
}

/// Where calls come from.
#[derive(Clone, Copy)]
pub(crate) enum Door<'a> {
    Inside(&'a Context),
    Outside(&'a Runtime),
}

impl Door<'_> {
    fn by(self) -> Option<Cid> {
        match self {
            Self::Inside(ctx) => Some(ctx.cid()),
            Self::Outside(_) => None,
        }
    }

    fn ask(self, log: &Log, how: How, call: &Call) -> (u64, &'static str, Value) {
        let token = log.token();
        log.push(Event::Asked { token, by: self.by(), how, call: Arc::new(call.clone()) });
        let request = Request { token, script: call.script.clone() };
        let payload = if call.is_unreadable {
            Value::String(format!("unreadable {token}"))
        } else {
            serde_json::to_value(request).expect("a request is JSON")
        };
        (token, TARGETS[call.target], payload)
    }

    fn taken(log: &Log, token: u64, answer: Result<Cid, CallError>) -> Option<Cid> {
        let answer = answer.map_err(|error| error.to_string());
        let cid = answer.as_ref().ok().copied();
        log.push(Event::Taken { token, answer });
        cid.inspect(|cid| log.watch(*cid))
    }

    pub(crate) async fn call(self, log: &Log, call: &Call) -> Option<Cid> {
        let (token, target, payload) = self.ask(log, How::Async, call);
        let mut made = match self {
            Self::Inside(ctx) => ctx.invoke_async(target, payload),
            Self::Outside(runtime) => runtime.invoke_async(target, payload),
        };
        let in_ms = Duration::from_millis;
        made = if let Some(delay) = call.delay { made.delay(in_ms(delay)) } else { made };
        made = if let Some(expires) = call.expires { made.expires_in(in_ms(expires)) } else { made };
        made = if let Some(timeout) = call.timeout { made.timeout(in_ms(timeout)) } else { made };
        if let Some(deadline) = call.deadline {
            made = made.deadline(log.wall() + log.0.began.0.elapsed() + in_ms(deadline));
        }
        if let Some((attempts, wait)) = call.attempts {
            made = made.max_attempts(attempts).backoff(in_ms(wait));
        }
        made = if let Some(priority) = call.priority { made.priority(priority) } else { made };
        made = if call.new_root { made.new_root() } else { made };
        made = if call.no_callback { made.no_callback() } else { made };
        made = call.callbacks.iter().fold(made, |made, callback| made.callback(REPLIES[*callback]));
        made = call.on_failure.iter().fold(made, |made, callback| made.on_failure(REPORTS[*callback]));
        Self::taken(log, token, made.await)
    }

    pub(crate) async fn group(self, log: &Log, group: &Group) -> Option<Cid> {
        let asked: Vec<_> = group.members.iter().map(|call| self.ask(log, How::Member, call)).collect();
        let (token, members) = (log.token(), asked.iter().map(|(token, ..)| *token).collect());
        log.push(Event::AskedAll { token, by: self.by(), members, group: Arc::new(group.clone()) });
        let calls = asked.into_iter().map(|(_, target, payload)| (target, payload));
        let answer = if group.fans_out {
            let mut made = match self {
                Self::Inside(ctx) => ctx.fan_out(calls),
                Self::Outside(runtime) => runtime.fan_out(calls),
            };
            made = if group.each { made.on_target(EACH) } else { made };
            made = if group.last { made.on_final(LAST) } else { made };
            made.await
        } else {
            let made = match self {
                Self::Inside(ctx) => ctx.parallel(calls),
                Self::Outside(runtime) => runtime.parallel(calls),
            };
            if group.each { made.on_target(EACH).await } else { made.await }
        };
        Self::taken(log, token, answer)
    }

    pub(crate) async fn cancel(self, log: &Log, cid: Cid, with_tree: bool) {
        let id = log.token();
        log.push(Event::Cancelling { id, cid, with_tree });
        let cancel = match self {
            Self::Inside(ctx) => ctx.cancel(cid),
            Self::Outside(runtime) => runtime.cancel(cid),
        };
        let answer = if with_tree { cancel.with_tree().await } else { cancel.await };
        log.push(Event::CancelAnswered { id, answer: answer.map_err(|error| error.to_string()) });
    }
}

/// Says how an attempt was left, also if it was dropped.
struct Leaving<'a>(&'a Log, Cid, Option<End>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.push(Event::Left { cid: self.1, how: self.2 });
    }
}

/// A CID that nobody has.
pub(super) fn nobody() -> Cid {
    "0197f3c2-8a41-7c3e-9b1d-6f2e4a5b6c7d".parse().expect("a CID")
}

/// Follows a script.
async fn act(ctx: &Context, token: u64, script: &Script, log: &Log) -> Result<Answer> {
    log.push(Event::Began(Run {
        cid: ctx.cid(),
        attempt: ctx.attempt(),
        service: ctx.service().to_owned(),
        channel: ctx.channel(),
        in_reply_to: ctx.in_reply_to(),
        parent: ctx.parent(),
        root: ctx.root(),
        caller: ctx.caller().map(str::to_owned),
        deadline: ctx.deadline(),
        payload: ctx.payload().clone(),
    }));
    let mut leaving = Leaving(log, ctx.cid(), None);
    if ctx.channel() != Channel::Invoke {
        log.watch(ctx.cid());
    }
    let (door, mut child) = (Door::Inside(ctx), None);
    let index = (ctx.attempt() as usize).min(script.runs.len());
    let (steps, mut end) = index.checked_sub(1).map_or((&[][..], End::Ok), |index| {
        let (steps, end) = &script.runs[index];
        (&steps[..], *end)
    });
    for step in steps {
        match step {
            Step::Sleep(ms) => sleep(Duration::from_millis(*ms)).await,
            Step::Wait => {
                ctx.cancelled().await;
                log.push(Event::Told { cid: ctx.cid() });
            }
            Step::Call(call) => child = door.call(log, call).await.or(child),
            Step::Group(group) => child = door.group(log, group).await.or(child),
            Step::Cancel(whom, with_tree) => {
                let cid = match *whom {
                    Whom::Own => ctx.cid(),
                    Whom::Child => child.unwrap_or_else(nobody),
                    Whom::Any(number) => {
                        let known = log.known();
                        known.get(number % known.len().max(1)).copied().unwrap_or_else(nobody)
                    }
                    Whom::Unknown => nobody(),
                };
                door.cancel(log, cid, *with_tree).await;
            }
            Step::Sync(call, matters) => {
                let (token, target, payload) = door.ask(log, How::Sync, call);
                let answer = ctx.invoke(target, payload).await;
                let answer = match answer {
                    Ok(response) => Ok(response.decode::<Answer>()?.token),
                    Err(error) => Err(error.is_permanent()),
                };
                log.push(Event::Returned { token, answer });
                if let (Err(is_permanent), true) = (answer, *matters) {
                    end = if is_permanent { End::FailForGood } else { End::Fail };
                    break;
                }
            }
        }
    }
    leaving.2 = Some(end);
    drop(leaving);
    match end {
        End::Ok => Ok(Answer { token, attempt: ctx.attempt(), then: script.then.clone() }),
        End::Fail => Err(Failure::new("not now")),
        End::FailForGood => Err(Failure::permanent("never")),
        End::RetryAfter(ms) => Err(Failure::retry_after(Duration::from_millis(ms))),
        // Without the hook, which would print it.
        End::Panic => resume_unwind(Box::new("a panic of the script")),
    }
}

/// A service of the model: what it takes, and what it then does.
macro_rules! services {
    ($($(#[$attribute:meta])* $function:ident($request:ident: $type:ty) => ($token:expr, $script:expr);)*) => {
        $(
            $(#[$attribute])*
            async fn $function(ctx: &Context, $request: $type, log: &Log) -> Result<Answer> {
                act(ctx, $token, $script, log).await
            }
        )*

        pub(crate) fn services() -> Vec<Registration> {
            vec![$($function::service().erased()),*]
        }
    };
}

services! {
    #[service(name = "model.node")]
    node(request: Request) => (request.token, &request.script);
    #[service(name = "model.plain")]
    plain(request: Request) => (request.token, &request.script);
    #[service(name = "model.patient", max_attempts = 3, backoff = "200ms", timeout = "1s")]
    patient(request: Request) => (request.token, &request.script);
    #[service(name = "model.narrow", concurrency = 2)]
    narrow(request: Request) => (request.token, &request.script);
    #[service(name = "model.reply")]
    reply(answer: Answer) => (0, &answer.then.unwrap_or_default());
    #[service(name = "model.restless", max_attempts = 2, backoff = "100ms")]
    restless(answer: Answer) => (0, &answer.then.unwrap_or_default());
    #[service]
    node_async_callback(answer: Answer) => (0, &answer.then.unwrap_or_default());
    #[service]
    node_async_failure(_report: FailureReport) => (0, &Script::default());
    #[service(name = "model.report")]
    report(_report: FailureReport) => (0, &Script::default());
    #[service(name = "model.refuses")]
    refuses(_report: FailureReport) => (0, &Script { runs: vec![(Vec::new(), End::FailForGood)], then: None });
    #[service(name = "model.each")]
    each(_reply: Payload) => (0, &Script::default());
    #[service(name = "model.last")]
    last(_rows: Vec<Value>) => (0, &Script::default());
}
