//! The three patterns: no callback, an explicit one, one by convention.

use zato_core::{Context, FailureReport, Result, Row, Service, service};
use zato_runtime::{Error, Runtime};

use crate::builder::{builder, durable, finish};
use crate::journal::Journal;

/// Does what its request says.
#[service(name = "patterns.caller")]
struct Caller {
    journal: Journal,
}

impl Service for Caller {
    type Request = String;
    type Response = ();

    async fn handle(&self, ctx: &Context, request: String) -> Result<()> {
        let call = ctx.invoke_async("patterns.target", "Hello from async!");
        let cid = match request.as_str() {
            "convention" => call.await?,
            "none" => call.no_callback().await?,
            "explicit, then none by convention" => call.callback("patterns.explicit").no_callback().await?,
            "none by convention, then explicit" => call.no_callback().callback("patterns.explicit").await?,
            "explicit" => call.callback("patterns.explicit").await?,
            "several" => {
                call.callback("patterns.explicit")
                    .callback(Explicit::service().name())
                    .callback(CallerAsyncCallback::NAME)
                    .await?
            }
            "typed" => {
                ctx.invoke_async(Target::service(), "Hello from async!").callback(Explicit::service()).await?
            }
            "failing" => ctx.invoke_async("patterns.refuses", 7).await?,
            "failing explicit" => ctx.invoke_async(Refuses::service(), 7).on_failure(Told::service()).await?,
            "failing alone" => ctx.invoke_async(Refuses::service(), 7).no_callback().await?,
            "failing, callback named" => {
                ctx.invoke_async(Refuses::service(), 7).callback(Explicit::NAME).await?
            }
            other => panic!("no such request: {other}"),
        };
        self.journal.write(ctx, cid);
        Ok(())
    }
}

#[service]
struct CallerAsyncCallback {
    journal: Journal,
}

impl Service for CallerAsyncCallback {
    type Request = String;
    type Response = ();

    async fn handle(&self, ctx: &Context, reply: String) -> Result<()> {
        self.journal.write(ctx, reply);
        Ok(())
    }
}

#[service]
struct CallerAsyncFailure {
    journal: Journal,
}

impl Service for CallerAsyncFailure {
    type Request = FailureReport;
    type Response = ();

    async fn handle(&self, ctx: &Context, report: FailureReport) -> Result<()> {
        self.journal.write(ctx, report.error);
        Ok(())
    }
}

#[service(name = "patterns.target")]
async fn target(ctx: &Context, request: String, journal: &Journal) -> Result<String> {
    journal.write(ctx, &request);
    Ok(request.to_uppercase())
}

use target as Target;

#[service(name = "patterns.refuses")]
struct Refuses;

impl Service for Refuses {
    type Request = u32;
    type Response = String;

    async fn handle(&self, _: &Context, number: u32) -> Result<String> {
        Err(std::io::Error::other(format!("number {number} is out")))?
    }
}

#[service(name = "patterns.explicit")]
struct Explicit {
    journal: Journal,
}

impl Service for Explicit {
    type Request = String;
    type Response = ();

    async fn handle(&self, ctx: &Context, reply: String) -> Result<()> {
        self.journal.write(ctx, reply);
        Ok(())
    }
}

#[service(name = "patterns.told")]
struct Told {
    journal: Journal,
}

impl Service for Told {
    type Request = serde_json::Value;
    type Response = ();

    async fn handle(&self, ctx: &Context, report: serde_json::Value) -> Result<()> {
        self.journal.write(ctx, report);
        Ok(())
    }
}

/// Runs the caller with this request until everything that came of it has ended.
async fn run(request: &str) -> Result<Journal, Error> {
    let journal = Journal::default();
    let runtime = builder()
        .services([
            Caller::service().erased(),
            CallerAsyncCallback::service().erased(),
            CallerAsyncFailure::service().erased(),
            Target::service().erased(),
            Refuses::service().erased(),
            Explicit::service().erased(),
            Told::service().erased(),
        ])
        .provide(journal.clone())
        .start()
        .await?;
    runtime.invoke(Caller::service(), request).await?;
    finish(&runtime).await?;
    Ok(journal)
}

#[tokio::test]
async fn the_target_runs_under_the_cid_that_was_returned() -> Result<(), Error> {
    let journal = run("none").await?;
    let (caller, target) = (&journal.of(Caller::NAME)[0], &journal.of(Target::NAME)[0]);
    assert_eq!(caller.text, target.cid.to_string());
    assert_eq!(target.text, "Hello from async!");
    assert_eq!((target.parent, target.root), (Some(caller.cid), caller.cid));
    assert_eq!(target.caller.as_deref(), Some(Caller::NAME));
    assert_eq!((target.channel.as_str(), target.attempt), ("invoke-async", 1));
    assert_eq!(target.in_reply_to, None);
    assert_eq!(journal.lines().len(), 2, "nothing else ran");
    Ok(())
}

#[tokio::test]
async fn a_callback_by_convention_receives_the_reply() -> Result<(), Error> {
    let journal = run("convention").await?;
    let (target, callback) = (&journal.of(Target::NAME)[0], &journal.of(CallerAsyncCallback::NAME)[0]);
    assert_eq!(callback.text, "HELLO FROM ASYNC!");
    assert_eq!(callback.in_reply_to, Some(target.cid));
    assert_eq!(callback.parent, Some(target.cid));
    assert_eq!(callback.root, target.root);
    assert_eq!(callback.caller.as_deref(), Some(Target::NAME));
    assert_eq!(callback.channel, "invoke-async-callback");
    assert!(callback.cid > target.cid, "it has a CID of its own, minted later");
    assert_eq!(journal.lines().len(), 3);
    Ok(())
}

#[tokio::test]
async fn an_explicit_callback_replaces_the_convention() -> Result<(), Error> {
    for request in
        ["explicit", "typed", "explicit, then none by convention", "none by convention, then explicit"]
    {
        let journal = run(request).await?;
        assert_eq!(journal.of(Explicit::NAME).len(), 1, "{request}");
        assert_eq!(journal.of(CallerAsyncCallback::NAME).len(), 0, "{request}");
    }
    Ok(())
}

#[tokio::test]
async fn several_callbacks_each_run_under_a_cid_of_their_own() -> Result<(), Error> {
    let journal = run("several").await?;
    let mut replies = journal.of(Explicit::NAME);
    replies.extend(journal.of(CallerAsyncCallback::NAME));
    assert_eq!(replies.len(), 3, "naming one twice invokes it twice");
    let cids: std::collections::HashSet<_> = replies.iter().map(|reply| reply.cid).collect();
    assert_eq!(cids.len(), 3);
    assert!(replies.iter().all(|reply| reply.text == "HELLO FROM ASYNC!"));
    Ok(())
}

#[tokio::test]
async fn a_failure_goes_to_the_failure_callback_and_no_other() -> Result<(), Error> {
    for request in ["failing", "failing, callback named"] {
        let journal = run(request).await?;
        let told = journal.of(CallerAsyncFailure::NAME);
        assert_eq!(told.len(), 1, "{request}");
        assert!(told[0].text.contains("number 7 is out"), "{request}: {}", told[0].text);
        assert_eq!(journal.lines().len(), 2, "{request}");
    }
    Ok(())
}

#[tokio::test]
async fn an_explicit_failure_callback_gets_the_report_as_json() -> Result<(), Error> {
    let journal = run("failing explicit").await?;
    let caller = &journal.of(Caller::NAME)[0];
    let told = &journal.of(Told::NAME)[0];
    let report: serde_json::Value = serde_json::from_str(&told.text).expect("a report is JSON");
    assert_eq!(report["cid"], caller.text);
    assert_eq!(report["service"], "patterns.refuses");
    assert_eq!(report["outcome"], "Failed");
    assert_eq!(report["attempts"], 1);
    assert_eq!(report["payload"], "7");
    let times =
        [&report["started_at"], &report["ended_at"]].map(|time| time.as_str().expect("a time").to_owned());
    assert!(times.iter().all(|time| time.ends_with('Z') && time.contains('T')), "{times:?}");
    assert!(times[0] <= times[1]);
    Ok(())
}

#[tokio::test]
async fn no_callback_is_for_failures_too() -> Result<(), Error> {
    let journal = run("failing alone").await?;
    assert_eq!(journal.lines().len(), 1);
    Ok(())
}

/// Returns arrays inside one another, `depth` of them.
#[service(name = "patterns.nests")]
async fn nests(_: &Context, depth: usize) -> Result<serde_json::Value> {
    Ok((1..depth).fold(serde_json::json!([]), |inner, _| serde_json::Value::Array(vec![inner])))
}

#[service(name = "patterns.rows")]
async fn rows(ctx: &Context, rows: Vec<Row<serde_json::Value>>, journal: &Journal) -> Result<()> {
    for response in rows.into_iter().filter_map(|row| row.response) {
        journal.write(ctx, response.to_string().len());
    }
    Ok(())
}

/// Takes its rows as JSON values.
#[service(name = "patterns.value-rows")]
async fn value_rows(ctx: &Context, rows: Vec<serde_json::Value>, journal: &Journal) -> Result<()> {
    for row in rows {
        journal.write(ctx, row["response"].to_string().len());
    }
    Ok(())
}

/// A row as a user may write it.
#[derive(serde::Deserialize)]
struct OwnRow {
    response: serde_json::Value,
}

#[service(name = "patterns.own-rows")]
async fn own_rows(ctx: &Context, rows: Vec<OwnRow>, journal: &Journal) -> Result<()> {
    for row in rows {
        journal.write(ctx, row.response.to_string().len());
    }
    Ok(())
}

#[service(name = "patterns.takes-value")]
async fn takes_value(ctx: &Context, value: serde_json::Value, journal: &Journal) -> Result<()> {
    journal.write(ctx, value.to_string().len());
    Ok(())
}

async fn start_nesting(engine: &str, journal: &Journal) -> Result<Runtime, Error> {
    let services = [
        nests::service().erased(),
        rows::service().erased(),
        value_rows::service().erased(),
        own_rows::service().erased(),
        takes_value::service().erased(),
    ];
    Runtime::builder().engine(engine).services(services).provide(journal.clone()).start().await
}

/// `serde_json` reads at most 127 arrays inside one another, and a row puts a response into two values more.
#[tokio::test(start_paused = true)]
async fn responses_at_the_depth_limit_are_read_inside_rows() -> Result<(), Error> {
    for engine in ["memory:".to_owned(), durable()] {
        let journal = Journal::default();
        let runtime = start_nesting(&engine, &journal).await?;
        for on_final in [rows::NAME, value_rows::NAME, own_rows::NAME] {
            let group = runtime.fan_out([(nests::NAME, 126), (nests::NAME, 127)]).on_final(on_final).await?;
            runtime.tree_ended(group).await?;
            let lengths: Vec<_> = journal.of(on_final).into_iter().map(|line| line.text).collect();
            assert_eq!(lengths, ["252", "254"], "{engine} {on_final}");
        }
        runtime.shutdown().await?;
    }
    Ok(())
}

/// Only rows are read deeper than by themselves: neither deeper responses in them, nor other callbacks.
#[tokio::test(start_paused = true)]
async fn what_is_deeper_than_the_limit_is_not_read() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start_nesting("memory:", &journal).await?;
    for on_final in [rows::NAME, value_rows::NAME, own_rows::NAME] {
        let group = runtime.fan_out([(nests::NAME, 128)]).on_final(on_final).await?;
        runtime.tree_ended(group).await?;
    }
    for depth in [127, 128] {
        let cid = runtime.invoke_async(nests::NAME, depth).callback(takes_value::NAME).await?;
        runtime.tree_ended(cid).await?;
    }
    let lengths: Vec<_> = journal.lines().into_iter().map(|line| line.text).collect();
    assert_eq!(lengths, ["254"], "the callback with a response that is not too deep");
    let dead = runtime.list(zato_runtime::Filter::dead()).await?;
    let outcomes: Vec<_> =
        dead.iter().filter_map(|found| found.outcome()).map(zato_runtime::Outcome::name).collect();
    assert_eq!(outcomes, ["Undecodable"; 4]);
    runtime.shutdown().await
}
