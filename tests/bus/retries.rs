//! Another attempt is made only where its author said so, and never one too many.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use zato_core::{CallError, Cid, Context, Failure, FailureReport, Result, service};
use zato_runtime::{Error, Outcome, Runtime};

use crate::builder::{builder, finish};
use crate::journal::Journal;

/// What an attempt does, by its number.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
enum Do {
    Succeed,
    Fail,
    FailForGood,
    RetryAfter(u64),
    Panic,
    Wait(u64),
}

async fn act(ctx: &Context, script: &[Do], journal: &Journal) -> Result<u32> {
    journal.write(ctx, format!("{:?}", ctx.deadline()));
    match &script[ctx.attempt() as usize - 1] {
        Do::Succeed => {}
        Do::Fail => Err(std::io::Error::other("not yet"))?,
        Do::FailForGood => return Err(Failure::permanent("never")),
        Do::RetryAfter(seconds) => {
            return Err(Failure::retry_after(Duration::from_secs(*seconds)).because("busy"));
        }
        Do::Panic => panic!("in attempt {}", ctx.attempt()),
        Do::Wait(seconds) => tokio::time::sleep(Duration::from_secs(*seconds)).await,
    }
    Ok(ctx.attempt())
}

#[service(name = "retries.patient", max_attempts = 4, backoff = "10s", timeout = "30s")]
async fn patient(ctx: &Context, script: Vec<Do>, journal: &Journal) -> Result<u32> {
    act(ctx, &script, journal).await
}

#[service(name = "retries.plain")]
async fn plain(ctx: &Context, script: Vec<Do>, journal: &Journal) -> Result<u32> {
    act(ctx, &script, journal).await
}

#[service(name = "retries.report")]
async fn report(ctx: &Context, report: FailureReport, journal: &Journal) -> Result<()> {
    journal.write(ctx, format!("{} after {}: {}", report.outcome, report.attempts, report.error));
    Ok(())
}

async fn start(journal: &Journal) -> Result<Runtime, Error> {
    builder()
        .services([patient::service().erased(), plain::service().erased(), report::service().erased()])
        .provide(journal.clone())
        .start()
        .await
}

/// Runs the patient service by a script: how it ended, how many seconds it took, and what was written.
async fn run(script: Vec<Do>) -> Result<(Outcome, u64, Journal), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let began = Instant::now();
    let cid = runtime.invoke_async(patient::service(), script).on_failure(report::NAME).await?;
    let outcome = runtime.outcome(cid).await?;
    let took = began.elapsed().as_secs();
    finish(&runtime).await?;
    Ok((outcome, took, journal))
}

#[tokio::test(start_paused = true)]
async fn attempts_are_made_until_one_succeeds() -> Result<(), Error> {
    let (outcome, took, journal) = run(vec![Do::Fail, Do::Panic, Do::Succeed, Do::Succeed]).await?;
    assert_eq!((outcome.to_string().as_str(), took), ("Completed: 3", 20));
    let lines = journal.lines();
    assert_eq!(lines.iter().map(|line| line.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(lines.iter().all(|line| line.cid == lines[0].cid), "all under one CID");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn when_the_attempts_are_used_up_it_has_failed_once() -> Result<(), Error> {
    let (outcome, took, journal) = run(vec![Do::Fail, Do::Fail, Do::Fail, Do::Fail]).await?;
    assert_eq!((outcome.to_string().as_str(), took), ("Failed: not yet (attempt 4 of 4)", 30));
    let reports = journal.of(report::NAME);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].text, "Failed after 4: not yet (attempt 4 of 4)");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_not_tried_again() -> Result<(), Error> {
    let (outcome, took, journal) = run(vec![Do::Fail, Do::FailForGood]).await?;
    assert_eq!((outcome.to_string().as_str(), took), ("Failed: never", 10));
    assert_eq!(journal.of(patient::NAME).len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_handler_says_when() -> Result<(), Error> {
    let (outcome, took, _) = run(vec![Do::RetryAfter(100), Do::RetryAfter(0), Do::Succeed]).await?;
    assert_eq!((outcome.to_string().as_str(), took), ("Completed: 3", 100));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_over() -> Result<(), Error> {
    let (outcome, took, _) = run(vec![Do::Wait(29), Do::Succeed]).await?;
    assert_eq!((outcome.to_string().as_str(), took), ("Completed: 1", 29));
    let (outcome, took, _) = run(vec![Do::Wait(31), Do::Succeed]).await?;
    assert_eq!((outcome.to_string().as_str(), took), ("Completed: 2", 40));
    let (outcome, took, journal) = run(vec![Do::Wait(99), Do::Fail, Do::Wait(99), Do::Wait(99)]).await?;
    assert!(matches!(&outcome, Outcome::TimedOut(_)), "{outcome}");
    assert_eq!(outcome.error(), Some("it took longer than its timeout of 30s (attempt 4 of 4)"));
    assert_eq!(took, 120);
    assert_eq!(journal.of(report::NAME).len(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn unless_told_there_is_one_attempt_and_a_call_may_tell() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let script = vec![Do::Fail, Do::Wait(50), Do::Fail, Do::Succeed];
    let cid = runtime.invoke_async(plain::service(), &script).await?;
    let outcome = runtime.outcome(cid).await?;
    assert_eq!(outcome.error(), Some("not yet (attempt 1 of 1; set `max_attempts` to have it tried again)"));
    let began = Instant::now();
    let call = runtime.invoke_async(plain::service(), &script).max_attempts(4).backoff("5s");
    let cid = call.timeout(Duration::from_secs(20)).await?;
    assert_eq!(runtime.outcome(cid).await?.to_string(), "Completed: 4");
    assert_eq!(began.elapsed().as_secs(), 5 + 20 + 5 + 5);
    let began = Instant::now();
    // The call's own settings go before those of the service.
    let cid = runtime.invoke_async(patient::service(), script).max_attempts(2).backoff("1s..1s").await?;
    let outcome = runtime.outcome(cid).await?;
    assert_eq!(outcome.error(), Some("it took longer than its timeout of 30s (attempt 2 of 2)"));
    assert!(began.elapsed() <= Duration::from_secs(31));
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_another_attempt_holds_no_place() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = builder()
        .services([patient::service().erased(), plain::service().erased()])
        .provide(journal.clone())
        .max_running(1)
        .start()
        .await?;
    let waits = runtime.invoke_async(patient::service(), vec![Do::Fail, Do::Succeed]).await?;
    // Services take turns, so the other one could be first.
    journal.wait_for(1).await;
    let began = Instant::now();
    runtime.invoke(plain::service(), vec![Do::Wait(1)]).await?;
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(runtime.outcome(waits).await?.to_string(), "Completed: 2");
    assert_eq!(began.elapsed().as_secs(), 10);
    finish(&runtime).await
}

#[tokio::test(start_paused = true)]
async fn a_deadline_holds_for_all_attempts() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = start(&journal).await?;
    let deadline = |seconds| SystemTime::now() + Duration::from_secs(seconds);
    let call = runtime.invoke_async(patient::service(), vec![Do::Wait(20); 4]).deadline(deadline(15));
    let outcome = runtime.outcome(call.on_failure(report::NAME).await?).await?;
    assert_eq!(outcome.to_string(), "TimedOut: its deadline passed while it ran");
    let call = runtime
        .invoke_async(patient::service(), vec![Do::Fail; 4])
        .deadline(SystemTime::now() + Duration::from_secs(30));
    let outcome = runtime.outcome(call.await?).await?;
    assert!(outcome.error().is_some_and(|error| error.contains("after the deadline")), "{outcome}");
    finish(&runtime).await?;
    assert_eq!(journal.of(report::NAME)[0].text, "TimedOut after 1: its deadline passed while it ran");
    Ok(())
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused() -> Result<(), Error> {
    let runtime = start(&Journal::default()).await?;
    let call = || runtime.invoke_async(plain::service(), vec![Do::Succeed]);
    let error = call().max_attempts(0).await.unwrap_err();
    assert!(
        matches!(error, CallError::Option(_)) && error.to_string().contains("allows no attempt"),
        "{error}"
    );
    for (text, fault) in [
        ("soon", "`soon` is not a duration"),
        ("2m..1s", "`2m..1s` decreases"),
        ("5", "`5` has a number without a unit"),
        ("0s..1m", "`0s..1m` never grows"),
    ] {
        let error = call().backoff(text).await.unwrap_err();
        let starts = format!("`.backoff(..)`: {fault}");
        assert!(
            error.to_string().starts_with(&starts) && error.to_string().ends_with(" would do"),
            "{error}"
        );
    }
    finish(&runtime).await
}

/// Calls in another order at every attempt, and fails until the third.
#[service(name = "retries.caller", max_attempts = 3, backoff = "1s")]
async fn caller(ctx: &Context, journal: &Journal) -> Result<Vec<Cid>> {
    let mut calls = vec!["one", "two", "two", "fails"];
    calls.rotate_left(ctx.attempt() as usize);
    let mut cids = Vec::new();
    for text in calls {
        let cid = match text {
            "fails" => ctx.invoke_async(plain::service(), vec![Do::FailForGood]).await?,
            text => {
                ctx.invoke_async("zato.helpers.echo", text)
                    .callback(hears::NAME)
                    .delay(Duration::from_millis(1))
                    .await?
            }
        };
        cids.push(cid);
    }
    // Through a synchronous call too, and as a group.
    cids.push(ctx.invoke(indirect::service(), ()).await?);
    cids.push(ctx.fan_out([("zato.ping", 1), ("zato.ping", 2)]).on_final(hears::NAME).await?);
    // What the earlier attempts did not call is new.
    ctx.invoke_async("zato.helpers.echo", format!("only {}", ctx.attempt())).callback(hears::NAME).await?;
    // Let the children end.
    tokio::time::sleep(Duration::from_millis(10)).await;
    cids.sort();
    journal.write(ctx, serde_json::to_string(&cids)?);
    if ctx.attempt() < 3 { Err(std::io::Error::other("again"))? } else { Ok(cids) }
}

#[service(name = "retries.indirect")]
async fn indirect(ctx: &Context) -> Result<Cid> {
    Ok(ctx.invoke_async("zato.helpers.echo", "indirect").callback(hears::NAME).await?)
}

#[service(name = "retries.hears")]
async fn hears(ctx: &Context, text: String, journal: &Journal) -> Result<()> {
    journal.write(ctx, text);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_attempt_called_is_not_called_again() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = builder()
        .services([
            caller::service().erased(),
            indirect::service().erased(),
            hears::service().erased(),
            plain::service().erased(),
        ])
        .provide(journal.clone())
        .start()
        .await?;
    runtime.invoke_async(caller::service(), ()).await?;
    finish(&runtime).await?;
    let attempts: Vec<Vec<Cid>> = journal
        .of(caller::NAME)
        .iter()
        .map(|line| serde_json::from_str(&line.text).expect("a list of CIDs"))
        .collect();
    assert_eq!(attempts.len(), 3);
    for attempt in &attempts[1..] {
        let same = attempt.iter().filter(|cid| attempts[0].contains(cid)).count();
        assert_eq!(same, 5, "all but the child that had failed are those of the first attempt");
    }
    let mut heard: Vec<_> = journal.of(hears::NAME).into_iter().map(|line| line.text).collect();
    heard.sort();
    assert!(heard[0].starts_with('['), "one group");
    assert_eq!(heard[1..], ["indirect", "one", "only 1", "only 2", "only 3", "two", "two"]);
    assert_eq!(journal.of(plain::NAME).len(), 3, "a child that has failed is called again");
    Ok(())
}

/// Calls synchronously, with retries.
#[service(name = "retries.synchronous")]
async fn synchronous(ctx: &Context, script: Vec<Do>) -> Result<u32> {
    Ok(ctx.invoke(plain::service(), script).max_attempts(3).backoff("10s").await?)
}

#[tokio::test(start_paused = true)]
async fn a_synchronous_call_stops_at_the_first_success() -> Result<(), Error> {
    let journal = Journal::default();
    let runtime = builder()
        .services([synchronous::service().erased(), plain::service().erased()])
        .provide(journal.clone())
        .start()
        .await?;
    let began = Instant::now();
    assert_eq!(runtime.invoke(synchronous::service(), vec![Do::Fail, Do::Panic, Do::Succeed]).await?, 3);
    assert_eq!(began.elapsed().as_secs(), 20);
    let error = runtime.invoke(synchronous::service(), vec![Do::Fail, Do::Fail, Do::Fail]).await.unwrap_err();
    assert!(error.to_string().contains("not yet (attempt 3 of 3)"), "{error}");
    let error = runtime.invoke(synchronous::service(), vec![Do::FailForGood]).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
    // From outside likewise.
    assert_eq!(
        runtime.invoke(plain::service(), vec![Do::Fail, Do::Succeed]).max_attempts(2).backoff("1s").await?,
        2
    );
    assert!(
        runtime.invoke(plain::service(), vec![Do::Fail, Do::Succeed]).await.is_err(),
        "one attempt unless told"
    );
    finish(&runtime).await?;
    assert_eq!(journal.lines().len(), 3 + 3 + 1 + 2 + 1);
    Ok(())
}

/// Calls something, and fails once.
#[service(name = "retries.once", max_attempts = 2, backoff = "10s")]
async fn once(ctx: &Context, journal: &Journal) -> Result<()> {
    journal.write(ctx, ctx.invoke_async("zato.helpers.echo", "child").await?);
    if ctx.attempt() == 1 { Err(Failure::new("again")) } else { Ok(()) }
}

#[tokio::test(start_paused = true)]
async fn a_child_is_remembered_as_long_as_its_caller_may_ask_for_it() -> Result<(), Error> {
    let journal = Journal::default();
    let services = [once::service().erased()];
    let runtime = builder().services(services).provide(journal.clone()).keep_ended(3).start().await?;
    let cid = runtime.invoke_async(once::service(), ()).await?;
    journal.wait_for(1).await;
    let child = journal.lines()[0].text.parse().expect("a CID");
    for _ in 0..10 {
        runtime.invoke("zato.ping", ()).await?;
    }
    assert!(runtime.outcome(cid).await?.is_completed());
    assert_eq!(journal.lines()[0].text, journal.lines()[1].text, "it was not called again");
    assert!(runtime.outcome(child).await?.is_completed());
    for _ in 0..10 {
        runtime.invoke("zato.ping", ()).await?;
    }
    assert!(matches!(runtime.outcome(child).await, Err(Error::NotHeld(_))), "nobody asks for it any more");
    finish(&runtime).await
}
