//! The doors of a bus, as scripts use them: what is asked and what is answered is noted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use zato_core::{Context, Payload};
use zato_runtime::{CallError, Cid, Runtime};

use super::log::{Event, How, Log};
use super::script::{
    Answer, Call, Chain, EACH, Group, KEYS, LAST, REPLIES, REPORTS, Request, STEPS, TARGETS,
};

/// The token of an answer, or whether the failure is permanent.
fn read(answer: Result<Payload, CallError>) -> Result<u64, bool> {
    let response = answer.map_err(|error| error.is_permanent())?;
    Ok(response.decode::<Answer>().expect("an answer").token)
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

    pub(crate) fn ask(self, log: &Log, how: How, call: &Call) -> (u64, &'static str, Value) {
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
            made = made.deadline(log.in_ms(deadline));
        }
        if let Some((attempts, wait)) = call.attempts {
            made = made.max_attempts(attempts).backoff(in_ms(wait));
        }
        made = if let Some(priority) = call.priority { made.priority(priority) } else { made };
        made = if let Some(key) = call.key { made.concurrency_key(KEYS[key]) } else { made };
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

    pub(crate) async fn chain(self, log: &Log, chain: &Chain) -> Option<Cid> {
        let (first, target, payload) = self.ask(log, How::Step, &chain.first);
        let token = log.token();
        log.push(Event::AskedChain { token, by: self.by(), first, chain: Arc::new(chain.clone()) });
        let mut made = match self {
            Self::Inside(ctx) => ctx.chain(target, payload),
            Self::Outside(runtime) => runtime.chain(target, payload),
        };
        made = chain.then.iter().fold(made, |made, step| made.then(STEPS[*step]));
        made = if chain.no_callback { made.no_callback() } else { made };
        made = chain.callbacks.iter().fold(made, |made, callback| made.callback(REPLIES[*callback]));
        made = chain.on_failure.iter().fold(made, |made, callback| made.on_failure(REPORTS[*callback]));
        Self::taken(log, token, made.await)
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

/// Makes synchronous calls at once, and answers with the first failure: whether it is permanent.
pub(crate) async fn invoke_all(ctx: &Context, log: &Log, calls: &[Call]) -> Result<(), bool> {
    let asked: Vec<_> = calls.iter().map(|call| Door::Inside(ctx).ask(log, How::Sync, call)).collect();
    let tokens: Vec<_> = asked.iter().map(|(token, ..)| *token).collect();
    let answers = ctx.invoke_all(asked.into_iter().map(|(_, target, payload)| (target, payload))).await;
    assert_eq!(answers.len(), tokens.len(), "an answer for each call");
    let answers: Vec<_> = tokens.into_iter().zip(answers.into_iter().map(read)).collect();
    for (token, answer) in &answers {
        log.push(Event::Returned { token: *token, answer: *answer });
    }
    answers.into_iter().try_for_each(|(_, answer)| answer.map(drop))
}

/// Makes a synchronous call, and answers with its failure: whether it is permanent.
pub(crate) async fn invoke(ctx: &Context, log: &Log, call: &Call) -> Result<(), bool> {
    let (token, target, payload) = Door::Inside(ctx).ask(log, How::Sync, call);
    let answer = read(ctx.invoke(target, payload).await);
    log.push(Event::Returned { token, answer });
    answer.map(drop)
}
