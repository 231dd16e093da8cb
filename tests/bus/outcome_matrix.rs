//! The table of outcomes: every way to every one of them, times every choice of callbacks. Each combination has exactly
//! one outcome, exactly the callbacks that it should have, and nothing else in its tree.

mod services;
mod callbacks;
mod hold;
mod ways;
mod members;

use std::sync::Arc;
use std::time::Duration;

use zato_core::target::AnyResponse;
use zato_core::{CallError, Chain, Context, FailureReport, InvokeAsync};
use zato_runtime::{Cancellation, Cid, Error, Outcome, Runtime, Status};

use self::callbacks::Callbacks;
use self::hold::{Hold, MAX_RUNNING};
use self::services::{Gate, MAX_PAYLOAD, services};
use self::ways::{End, Way, seconds};
use crate::builder::{durable, finish, is_durable};
use crate::journal::{Journal, Line};

/// A way and a choice of callbacks: a resource of those who make the call.
#[derive(Debug, Clone)]
struct Combination {
    way: Arc<Way>,
    callbacks: Callbacks,
}

impl Combination {
    fn name(&self) -> String {
        format!("`{}` with callbacks: {}", self.way.name, self.callbacks.name)
    }

    async fn call_from_handler(&self, ctx: &Context) -> Result<Cid, CallError> {
        let (target, request) = (self.way.target, &self.way.request);
        if self.way.steps == 0 {
            return self.ask(ctx.invoke_async(target, request)).await;
        }
        self.steps(ctx.chain(target, request)).await
    }

    async fn call_from_outside(&self, runtime: &Runtime) -> Result<Cid, CallError> {
        let (target, request) = (self.way.target, &self.way.request);
        if self.way.steps == 0 {
            return self.ask(runtime.invoke_async(target, request)).await;
        }
        self.steps(runtime.chain(target, request)).await
    }

    fn ask<'a>(&self, call: InvokeAsync<'a, AnyResponse>) -> InvokeAsync<'a, AnyResponse> {
        self.callbacks.of_call((self.way.ask)(self.way.hold.ask(call)))
    }

    fn steps<'a>(&self, mut chain: Chain<'a, AnyResponse>) -> Chain<'a, AnyResponse> {
        for step in self.way.then {
            chain = chain.then(*step);
        }
        self.callbacks.of_chain(chain)
    }

    /// Makes the call, does to it what the way says, and answers with what came of it.
    async fn run(self) -> Result<(), Error> {
        let (journal, gate) = (Journal::default(), Gate::closed());
        let shuts_down = self.way.end == End::Shutdown;
        if shuts_down && is_durable() {
            // It ends nothing there.
            return Ok(());
        }
        let url = if is_durable() { durable() } else { "memory:".to_owned() };
        let start = || {
            let builder = Runtime::builder().engine(&url).services(services());
            let builder = builder.provide(journal.clone()).provide(gate.clone()).provide(self.clone());
            let limit = if shuts_down { seconds(10) } else { Duration::MAX };
            builder.max_running(MAX_RUNNING).max_payload(MAX_PAYLOAD).drain_limit(limit).start()
        };
        let runtime = start().await?;
        self.way.hold.before(&runtime).await?;
        let cid = match self.callbacks.caller {
            None => self.call_from_outside(&runtime).await?,
            Some(caller) => runtime.invoke(caller, ()).await?.decode()?,
        };
        self.way.hold.after(&runtime).await?;
        let told = self.end(&runtime, cid).await?;
        if !shuts_down {
            gate.open();
        }
        finish(&runtime).await?;
        let outcome = match told {
            Some(told) => told,
            None => runtime.outcome(cid).await?,
        };
        self.check(&runtime, cid, &outcome, &journal).await?;
        if is_durable() {
            runtime.shutdown().await?;
            let again = start().await?;
            self.check(&again, cid, &outcome, &journal).await?;
            again.shutdown().await?;
        }
        Ok(())
    }

    /// Does to it what the way says; answers with its outcome, unless a shutdown is to end it.
    async fn end(&self, runtime: &Runtime, cid: Cid) -> Result<Option<Outcome>, Error> {
        let (name, hold) = (self.name(), self.way.hold);
        if self.way.end != End::Itself || hold != Hold::Nothing {
            tokio::time::sleep(seconds(2)).await;
        }
        let found = runtime.find(cid).await?.expect("it is held");
        if hold != Hold::Nothing && self.way.steps == 0 {
            let Status::Waiting(waits) = &found.status else { panic!("{name}: {:?}", found.status) };
            assert!(hold.is(waits), "{name}: {waits:?}");
        }
        match self.way.end {
            End::Itself => {}
            End::Shutdown => return Ok(None),
            End::Cancel => {
                let waits = hold != Hold::Nothing && self.way.steps == 0;
                let expected = if waits { Cancellation::Cancelled } else { Cancellation::Requested };
                assert_eq!(runtime.cancel(cid).await?, expected, "{name}");
            }
            End::CancelTree => {
                let root = found.invocation.root;
                let answer = runtime.cancel(root).with_tree().await?;
                let caller_has_ended = matches!(answer, Cancellation::Ended(Outcome::Completed(_)));
                assert_eq!(caller_has_ended, root != cid, "{name}: {answer:?}");
            }
        }
        Ok(Some(runtime.outcome(cid).await?))
    }

    /// It has ended once, as it should, with the callbacks that it should have, and nothing else has come of it.
    async fn check(
        &self,
        runtime: &Runtime,
        cid: Cid,
        outcome: &Outcome,
        journal: &Journal,
    ) -> Result<(), Error> {
        let name = self.name();
        assert!(outcome.to_string().starts_with(self.way.outcome), "{name}: {outcome}");
        assert_eq!(runtime.outcome(cid).await?, *outcome, "{name}: it is remembered");
        let found = runtime.find(cid).await?.expect("it is remembered");
        assert_eq!(found.outcome(), Some(outcome), "{name}");
        // A chain's attempts are those of the step that ended it; where none did there are none.
        assert_eq!(found.attempts, self.way.attempts, "{name}");
        assert_eq!(found.is_dead(), !outcome.is_completed(), "{name}");

        let expected = match outcome {
            Outcome::Completed(_) => self.callbacks.replies,
            _ => self.callbacks.reports,
        };
        let mut lines: Vec<_> =
            journal.lines().into_iter().filter(|line| line.in_reply_to.is_some()).collect();
        lines.sort_by(|one, other| one.service.cmp(&other.service));
        let heard: Vec<_> = lines.iter().map(|line| &*line.service).collect();
        assert_eq!(heard, expected, "{name}");
        for line in &lines {
            self.check_callback(line, cid, outcome);
        }
        self.check_tree(runtime, cid, &lines).await
    }

    fn check_callback(&self, line: &Line, cid: Cid, outcome: &Outcome) {
        let name = self.name();
        let target = if self.way.steps == 0 { self.way.target } else { "zato.chain" };
        assert_eq!((line.in_reply_to, line.parent), (Some(cid), Some(cid)), "{name}");
        assert_eq!(line.caller.as_deref(), Some(target), "{name}");
        assert_eq!((&*line.channel, line.attempt), ("invoke-async-callback", 1), "{name}");
        if let Outcome::Completed(response) = outcome {
            assert_eq!(line.text, response.to_string(), "{name}");
            return;
        }
        let report: FailureReport = serde_json::from_str(&line.text).expect("a report is JSON");
        assert_eq!(report.cid, cid, "{name}");
        assert_eq!((&*report.service, &*report.outcome), (target, outcome.name()), "{name}");
        assert_eq!(Some(&*report.error), outcome.error(), "{name}");
        assert_eq!(report.attempts, self.way.attempts, "{name}");
        assert_eq!(report.step.is_some(), self.way.steps > 0, "{name}");
        let request = zato_core::Payload::write(&self.way.request).expect("JSON can be written");
        assert_eq!(report.payload, Some(request.to_string()), "{name}");
        assert_eq!(report.started_at.is_some(), report.attempts > 0, "{name}");
        assert!(report.started_at.is_none_or(|started_at| started_at <= report.ended_at), "{name}");
    }

    /// The tree holds the caller, the call, a chain's steps and the callbacks; all have ended.
    async fn check_tree(&self, runtime: &Runtime, cid: Cid, callbacks: &[Line]) -> Result<(), Error> {
        let name = self.name();
        let tree = runtime.tree(cid).await?;
        let others: Vec<_> = tree
            .iter()
            .filter(|found| found.cid() != cid && callbacks.iter().all(|line| line.cid != found.cid()))
            .map(|found| found.service().to_owned())
            .collect();
        let steps = std::iter::once(self.way.target).chain(self.way.then.iter().copied());
        let expected: Vec<_> = self.callbacks.caller.into_iter().chain(steps.take(self.way.steps)).collect();
        assert_eq!(others, expected, "{name}");
        assert_eq!(tree.len(), 1 + callbacks.len() + expected.len(), "{name}");
        for found in tree {
            let is_callback = callbacks.iter().any(|line| line.cid == found.cid());
            let outcome = found.outcome().unwrap_or_else(|| panic!("{name}: {:?}", found.status));
            assert!(!is_callback || outcome.is_completed(), "{name}: {outcome}");
        }
        Ok(())
    }
}

/// Tries every one of these ways with every choice of callbacks.
async fn try_all(ways: Vec<Way>) -> Result<(), Error> {
    for way in ways.into_iter().map(Arc::new) {
        for callbacks in callbacks::ALL {
            Combination { way: way.clone(), callbacks }.run().await?;
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn completed() -> Result<(), Error> {
    try_all(ways::completed()).await
}

#[tokio::test(start_paused = true)]
async fn failed() -> Result<(), Error> {
    try_all(ways::failed()).await
}

#[tokio::test(start_paused = true)]
async fn timed_out() -> Result<(), Error> {
    try_all(ways::timed_out()).await
}

#[tokio::test(start_paused = true)]
async fn expired() -> Result<(), Error> {
    try_all(ways::expired()).await
}

#[tokio::test(start_paused = true)]
async fn cancelled() -> Result<(), Error> {
    try_all(ways::cancelled()).await
}

#[tokio::test(start_paused = true)]
async fn undecodable() -> Result<(), Error> {
    try_all(ways::undecodable()).await
}
