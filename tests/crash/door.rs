//! The doors of a bus, as scripts use them: the journal has a line before each call and a line after it.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use zato_core::{CallError, Cid, Context, Failure, Outcome, Payload};
use zato_runtime::Runtime;

use crate::journal::{Asked, Journal, Line, Target, What, digest};
use crate::script::{Call, Chain, Do, Group, LAST, POISON, REPLY, REPORT, Replies, STEP, WORKERS, Work};
use crate::services::wait;

/// Where calls come from.
#[derive(Clone, Copy)]
pub(crate) enum Door<'a> {
    Inside(&'a Context),
    Outside(&'a Runtime),
}

/// A request as it is sent, and as the journal knows it.
fn target(service: &str, request: &impl Serialize) -> (Payload, Target) {
    let payload = Payload::write(request).expect("a request is JSON");
    let digest = digest(payload.as_bytes());
    (payload, Target { service: service.to_owned(), digest })
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Door<'_> {
    /// The invocation whose attempt asks: for a synchronous call the one that it runs in.
    fn by(self) -> Option<String> {
        match self {
            Self::Inside(ctx) => Some(ctx.anchor().0.to_string()),
            Self::Outside(_) => None,
        }
    }

    /// Who receives what comes of a call: of its success, and of its failure.
    fn expected(self, replies: Replies) -> (Vec<String>, Vec<String>) {
        match (replies, self) {
            (Replies::Named, _) => (names(&[REPLY, REPLY]), names(&[REPORT])),
            (Replies::Convention, Self::Inside(ctx)) if ctx.service() == WORKERS[0] => {
                (names(&["crash.work-async-callback"]), names(&["crash.work-async-failure"]))
            }
            _ => (Vec::new(), Vec::new()),
        }
    }

    /// Writes down what was answered.
    fn answered(self, journal: &Journal, id: &str, answer: Result<Cid, CallError>) -> Result<Cid, CallError> {
        let (id, by) = (id.to_owned(), self.by());
        journal.write(&match &answer {
            Ok(cid) => Line::Got { id, by, cid: cid.to_string() },
            Err(CallError::CidTaken(cid)) => Line::Taken { id, cid: cid.to_string() },
            Err(error) => Line::Refused { id, by, why: error.to_string() },
        });
        answer
    }

    /// Does what a handler is told.
    pub(crate) async fn does(self, journal: &Journal, what: &Do) -> Result<(), Failure> {
        match what {
            Do::Call(call) => drop(self.call(journal, call, None).await?),
            Do::Group(group) => drop(self.group(journal, group).await?),
            Do::Chain(chain) => drop(self.chain(journal, chain).await?),
            Do::Sync(worker, work) => self.invoke(journal, *worker, work).await,
            Do::Wait(milliseconds) => wait(*milliseconds).await,
        }
        Ok(())
    }

    pub(crate) async fn call(
        self,
        journal: &Journal,
        call: &Call,
        cid: Option<&str>,
    ) -> Result<Cid, CallError> {
        let Call { worker, work, replies, options } = call;
        let (payload, target) = target(WORKERS[*worker], work);
        let (callbacks, on_failure) = self.expected(*replies);
        let (cid, once) = (cid.map(str::to_owned), options.once.clone());
        let asked = Asked {
            id: work.id.clone(),
            by: self.by(),
            what: What::Call(target),
            callbacks,
            on_failure,
            cid,
            once,
        };
        journal.write(&Line::Asks(asked.clone()));
        let mut made = match self {
            Self::Inside(ctx) => ctx.invoke_async(WORKERS[*worker], payload),
            Self::Outside(runtime) => runtime.invoke_async(WORKERS[*worker], payload),
        };
        made = match replies {
            Replies::Convention => made,
            Replies::Named => made.callback(REPLY).callback(REPLY).on_failure(REPORT),
            Replies::None => made.no_callback(),
        };
        let in_ms = Duration::from_millis;
        made = if let Some(delay) = options.delay { made.delay(in_ms(delay)) } else { made };
        made = if let Some(timeout) = options.timeout { made.timeout(in_ms(timeout)) } else { made };
        made = if let Some(expires) = options.expires { made.expires_in(in_ms(expires)) } else { made };
        if let Some(deadline) = options.deadline {
            made = made.deadline(SystemTime::now() + in_ms(deadline));
        }
        made = if let Some(priority) = options.priority { made.priority(priority) } else { made };
        made = if let Some(losses) = options.losses { made.max_losses(losses) } else { made };
        made = if let Some(lane) = &options.lane { made.concurrency_key(lane) } else { made };
        made = if let Some(once) = &options.once { made.idempotency_key(once) } else { made };
        if let Some(cid) = &asked.cid {
            made = made.cid(cid.parse().expect("a CID"));
        }
        self.answered(journal, &work.id, made.await)
    }

    pub(crate) async fn group(self, journal: &Journal, group: &Group) -> Result<Cid, CallError> {
        let members =
            group.members.iter().map(|(worker, work)| (WORKERS[*worker], target(WORKERS[*worker], work)));
        let (calls, members): (Vec<_>, Vec<_>) =
            members.map(|(service, (payload, target))| ((service, payload), target)).unzip();
        let each = if group.each { names(&[REPLY]) } else { Vec::new() };
        journal.write(&Line::Asks(Asked {
            id: group.id.clone(),
            by: self.by(),
            what: What::Group { fans_out: group.fans_out, members, each },
            callbacks: if group.last { names(&[LAST]) } else { Vec::new() },
            on_failure: Vec::new(),
            cid: None,
            once: None,
        }));
        let answer = if group.fans_out {
            let mut made = match self {
                Self::Inside(ctx) => ctx.fan_out(calls),
                Self::Outside(runtime) => runtime.fan_out(calls),
            };
            made = if group.each { made.on_target(REPLY) } else { made };
            made = if group.last { made.on_final(LAST) } else { made };
            made.await
        } else {
            let made = match self {
                Self::Inside(ctx) => ctx.parallel(calls),
                Self::Outside(runtime) => runtime.parallel(calls),
            };
            if group.each { made.on_target(REPLY).await } else { made.await }
        };
        self.answered(journal, &group.id, answer)
    }

    pub(crate) async fn chain(self, journal: &Journal, chain: &Chain) -> Result<Cid, CallError> {
        let Chain { worker, work, steps, replies } = chain;
        let (payload, first) = target(WORKERS[*worker], work);
        let services = std::iter::once(WORKERS[*worker]).chain((0..*steps).map(|_| STEP));
        let (callbacks, on_failure) = self.expected(*replies);
        let what = What::Chain { first, steps: services.map(str::to_owned).collect() };
        let (id, by) = (work.id.clone(), self.by());
        journal.write(&Line::Asks(Asked { id, by, what, callbacks, on_failure, cid: None, once: None }));
        let mut made = match self {
            Self::Inside(ctx) => ctx.chain(WORKERS[*worker], payload),
            Self::Outside(runtime) => runtime.chain(WORKERS[*worker], payload),
        };
        for _ in 0..*steps {
            made = made.then(STEP);
        }
        made = match replies {
            Replies::Convention => made,
            Replies::Named => made.callback(REPLY).callback(REPLY).on_failure(REPORT),
            Replies::None => made.no_callback(),
        };
        self.answered(journal, &work.id, made.await)
    }

    /// A synchronous call. Its failure is nobody's.
    pub(crate) async fn invoke(self, journal: &Journal, worker: usize, work: &Work) {
        let id = work.id.clone();
        match self {
            Self::Inside(ctx) => {
                let (by, attempt) = (ctx.anchor().0.to_string(), ctx.anchor().1);
                journal.write(&Line::AsksInside { id: id.clone(), by: by.clone(), attempt });
                if ctx.invoke(WORKERS[worker], work).await.is_ok() {
                    journal.write(&Line::Returned { id, by, attempt });
                }
            }
            Self::Outside(runtime) => {
                journal.write(&Line::AsksOutside { id: id.clone() });
                if runtime.invoke(WORKERS[worker], work).await.is_ok() {
                    journal.write(&Line::Answered { id });
                }
            }
        }
    }
}

/// Calls what kills its process.
pub(crate) async fn poison(
    runtime: &Runtime,
    journal: &Journal,
    work: &Work,
    losses: u32,
) -> Result<Cid, CallError> {
    let (payload, target) = target(POISON, work);
    journal.write(&Line::Asks(Asked {
        id: work.id.clone(),
        by: None,
        what: What::Call(target),
        callbacks: Vec::new(),
        on_failure: names(&[REPORT]),
        cid: None,
        once: None,
    }));
    let answer = runtime.invoke_async(POISON, payload).on_failure(REPORT).max_losses(losses).await;
    Door::Outside(runtime).answered(journal, &work.id, answer)
}

/// Waits for an outcome, and writes it down.
pub(crate) async fn outcome(runtime: &Runtime, journal: &Journal, cid: Cid) {
    if let Ok(outcome) = runtime.outcome(cid).await {
        journal.write(&Line::Told { cid: cid.to_string(), outcome: Outcome::name(&outcome).to_owned() });
    }
}
