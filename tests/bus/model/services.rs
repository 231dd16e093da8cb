//! The services of the model, which follow scripts.

use std::panic::resume_unwind;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use zato_core::{Channel, Context, Failure, Payload, Registration, Result, service};
use zato_runtime::{Cid, FailureReport};

use super::door::{Door, invoke, invoke_all};
use super::log::{Event, Log, Run};
use super::script::{Answer, End, Request, Script, Step, Whom};

/// Says how an attempt was left, also if it was dropped.
struct Leaving<'a>(&'a Log, Cid, Option<End>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.push(Event::Left { cid: self.1, how: self.2 });
    }
}

/// A CID that nobody has.
pub(crate) fn nobody() -> Cid {
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
    let (door, mut child, mut failed) = (Door::Inside(ctx), None, None);
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
            Step::Chain(chain) => child = door.chain(log, chain).await.or(child),
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
                failed = invoke(ctx, log, call).await.err().filter(|_| *matters);
            }
            Step::SyncAll(calls, matters) => {
                failed = invoke_all(ctx, log, calls).await.err().filter(|_| *matters);
            }
        }
        if let Some(is_permanent) = failed {
            end = if is_permanent { End::FailForGood } else { End::Fail };
            break;
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
    #[service(name = "model.rated", rate = "2/s")]
    rated(request: Request) => (request.token, &request.script);
    #[service(name = "model.reply")]
    reply(answer: Answer) => (answer.token, &answer.then.unwrap_or_default());
    #[service(name = "model.restless", max_attempts = 2, backoff = "100ms")]
    restless(answer: Answer) => (answer.token, &answer.then.unwrap_or_default());
    #[service]
    node_async_callback(answer: Answer) => (answer.token, &answer.then.unwrap_or_default());
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
